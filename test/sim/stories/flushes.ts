import type { Scene } from "../scenario/scene.ts";
import type { UsedDisk } from "../scenario/users.ts";
import { releaseAll } from "./space.ts";
import { isDataWrite, pass, passTime, reach } from "./story.ts";

const SYNC_MS = 300;
const ROUNDS = 8;

/**
 * Syncs take long, and writes are answered while they run. What such a sync does not cover is lost
 * with the unit's power unless its host replays it, or a flush after it was not answered for free.
 */
export async function slowSyncs(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, units: [unit] } = scene;
  const { machine } = unit!.role;
  let flushes = 0;
  sim.checkers.push({
    name: "story",
    answered: ({ kind }, error) => {
      if (kind === "flush" && error === 0) flushes++;
    },
  });
  kernel.mediaDelayMs = ({ kind }) => kind === "sync" ? SYNC_MS : 0;
  for (let round = 0; round < ROUNDS; round++) {
    const seen = flushes + 3;
    await reach(scene, "flushes are answered while writes go on", () => flushes >= seen);
    machine.cutPower();
    machine.switchOn();
    await readAll(scene);
    await passTime(scene, 500);
    await flushAll(scene);
    machine.cutPower();
    machine.switchOn();
    await readAll(scene);
  }
  kernel.mediaDelayMs = () => 0;
}

/**
 * A unit loses its power twice, and nobody flushes in between: its hosts replay twice what they
 * have. Then they lose it, are asked to flush, and are killed before it is back, which loses its
 * power meanwhile: what such a flush was answered for is there.
 */
export async function powerFailsAgain(scene: Scene): Promise<void> {
  const { world, users, units: [unit] } = scene;
  const { machine } = unit!.role;
  for (let round = 0; round < ROUNDS; round++) {
    await passTime(scene, 500);
    for (let times = 0; times < 2; times++) {
      machine.cutPower();
      machine.switchOn();
      await readOnly(scene);
    }
    users.pause(false);
    await passTime(scene, 500);
    users.pause(true);
    // What was asked is answered.
    await passTime(scene, 300);
    cutUnit(scene, true);
    world.kernel.faults.reset = 1;
    await pass(scene, 60);
    world.kernel.faults.reset = 0;
    await flushedForNothing(scene);
  }
}

/**
 * The same, but hosts have seen that the unit is gone. Its machine still holds the changes, which
 * its next process would sync when it begins.
 */
export async function flushedWhileAway(scene: Scene): Promise<void> {
  const { users, units: [unit] } = scene;
  const { role } = unit!;
  for (let round = 0; round < ROUNDS; round++) {
    await passTime(scene, 500);
    users.pause(true);
    await passTime(scene, 300);
    role.wanted = false;
    role.end("killed");
    await passTime(scene, 20);
    cutUnit(scene, true);
    await flushedForNothing(scene);
  }
}

/** Flushes are asked for of a unit that is cut off and loses its power, as its hosts are killed. */
async function flushedForNothing(scene: Scene): Promise<void> {
  const { hosts, units: [unit] } = scene;
  const { role, role: { machine } } = unit!;
  for (const { workload } of inUse(scene)) workload.flushFirst();
  await passTime(scene, 1500);
  machine.cutPower();
  for (const host of hosts) host.role.end("killed");
  cutUnit(scene, false);
  for (const { workload } of inUse(scene)) workload.flushed = true;
  role.wanted = true;
  machine.switchOn();
  await readAll(scene);
}

/** No host and the unit reach each other, or all do again. */
function cutUnit({ world, hosts, units: [unit] }: Scene, isCut: boolean): void {
  const { machine } = unit!.role;
  for (const { role } of hosts) {
    for (const [from, to] of [[role.machine, machine], [machine, role.machine]] as const) {
      if (isCut) world.cut(from, to);
      else world.mend(from, to);
    }
  }
}

/** A disk on two units is flushed, and then all power fails, so that nobody replays anything. */
export async function longDisk(scene: Scene): Promise<void> {
  const { hosts, units } = scene;
  await onTwoUnits(scene);
  for (let round = 0; round < ROUNDS; round++) {
    await passTime(scene, 1000);
    await flushAll(scene);
    for (const { role } of [...units, ...hosts]) role.machine.cutPower();
    for (const { role } of [...units, ...hosts]) role.machine.switchOn();
    await readAll(scene);
  }
}

/** The only disk there is: others' flushes would sync the same media. */
export async function onTwoUnits(scene: Scene): Promise<UsedDisk> {
  const { users } = scene;
  await releaseAll(scene);
  const disk = users.request({ sizeBytes: LONG_BYTES / 2 })!;
  // An operator makes it, and then its host hears of it.
  await reach(scene, "a disk is there", () => disk.state === "made" && disk.consumer.isReady);
  users.grow(disk, { sizeBytes: LONG_BYTES });
  await passTime(scene, 3000);
  disk.consumer.end("killed");
  await reach(scene, "it lies on two units", () => disk.workload.sizeBytes >= LONG_BYTES);
  return disk;
}

/** More than one of the story's units can hold. */
const LONG_BYTES = 40 * 2 ** 20;

/**
 * A unit writes to files in memory, each small request that comes by itself inside one call. A few
 * of these are flushed, and then all power fails, so that nobody replays anything.
 */
export async function flushedInMemory(scene: Scene): Promise<void> {
  const { users, hosts, units } = scene;
  for (const { workload } of users.disks) workload.mix = [["write", 100]];
  for (let round = 0; round < 2 * ROUNDS; round++) {
    await passTime(scene, 60);
    await flushAll(scene);
    for (const { role } of [...units, ...hosts]) role.machine.cutPower();
    for (const { role } of [...units, ...hosts]) role.machine.switchOn();
    await readAll(scene);
  }
}

/**
 * Devices take their time for each write, so that changes of the same blocks, asked for side by
 * side, could meet in the unit. Which of them is left nobody promises; but once they were answered
 * and read, the same is read after every replay, and after power cuts without one.
 */
export async function writesMeet(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units: [unit] } = scene;
  const { machine } = unit!.role;
  for (let round = 0; round < ROUNDS; round++) {
    kernel.mediaDelayMs = (call) => isDataWrite(scene, call) ? WRITE_MS_MAX * sim.fraction() : 0;
    await passTime(scene, 3000);
    users.pause(true);
    await passTime(scene, 1500);
    await readAll(scene);
    kernel.mediaDelayMs = () => 0;
    users.pause(true);
    machine.cutPower();
    machine.switchOn();
    await readAll(scene);
    await flushAll(scene);
    machine.cutPower();
    machine.switchOn();
    await readAll(scene);
  }
}

const WRITE_MS_MAX = 300;

/** Nothing is asked any more, what was asked is answered, and then one flush is. */
export async function flushAll(scene: Scene): Promise<void> {
  const { users } = scene;
  users.pause(true);
  await passTime(scene, 1500);
  for (const { workload } of inUse(scene)) workload.flushFirst();
  await concluded(scene);
}

/** Every place is read once; then consumers go on. */
export async function readAll(scene: Scene): Promise<void> {
  await readOnly(scene);
  scene.users.pause(false);
}

/** The same, and consumers ask for nothing else. */
async function readOnly(scene: Scene): Promise<void> {
  scene.users.pause(true);
  for (const { workload } of inUse(scene)) workload.readAll();
  await concluded(scene);
}

async function concluded(scene: Scene): Promise<void> {
  const all = () => inUse(scene).every(({ workload }) => workload.isConcluded);
  await reach(scene, "consumers have concluded", all);
}

function inUse({ users }: Scene): UsedDisk[] {
  return users.disks.filter(({ state, workload }) => state === "made" && workload.sizeBytes > 0);
}

/**
 * Writing back fails for one disk, and the unit's kernel drops what was lost: nobody is shown what
 * was there before. Then an operator has the medium opened anew: whoever has written to it and not
 * flushed is to repeat that, although the unit has not lost its power.
 */
export async function reopened(scene: Scene): Promise<void> {
  const { world: { kernel }, users, operator, units: [unit] } = scene;
  const { machine } = unit!.role;
  users.request();
  // It is read before the cache drops what was lost, and after that.
  kernel.faults.delayedMs = [3000, 4000];
  for (let i = 0; i < 4; i++) {
    await passTime(scene, 1000);
    await failASync(scene);
    for (let looks = 0; looks < 2; looks++) {
      // What may be lost cannot be read, and is asked for again and again.
      for (const { workload } of inUse(scene)) workload.readAll();
      await passTime(scene, 5000);
    }
    users.pause(true);
    operator.look();
    await passTime(scene, 25_000);
    await readAll(scene);
    machine.cutPower();
    machine.switchOn();
    await readAll(scene);
  }
}

/**
 * The same, but who could repeat what was lost is gone, and the cache keeps it for a long time: it
 * is not read from the medium that was opened anew, since it would be gone later.
 */
export async function reopenedUnrepeated(scene: Scene): Promise<void> {
  const { world: { kernel }, users, operator, hosts } = scene;
  kernel.faults.delayedMs = [60_000, 70_000];
  for (let i = 0; i < 4; i++) {
    await passTime(scene, 1000);
    await failASync(scene);
    for (const { role } of hosts) role.end("killed");
    // What the station shows and the hosts' next processes come by and by.
    await passTime(scene, 5000);
    operator.look();
    await readAll(scene);
    users.pause(true);
    await passTime(scene, 70_000);
    await readAll(scene);
  }
}

/** Writing back fails, for whoever syncs first; then consumers ask for nothing any more. */
async function failASync(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  let syncs = 0;
  kernel.mediaFault = ({ kind }) => {
    if (kind === "sync") syncs++;
    return "ok";
  };
  kernel.faults.syncError = 1;
  await reach(scene, "something is flushed", () => syncs > 0);
  users.pause(true);
  await passTime(scene, 100);
  kernel.faults.syncError = 0;
}
