import { MIB } from "../../../protocol/core/limits.ts";
import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import type { SimMediaCall } from "../../../storage/io/sim_world.ts";
import { GrantedSpace } from "../checkers/granted_space.ts";
import type { Scene } from "../scenario/scene.ts";
import { isDataWrite, pass, passTime, reach } from "./story.ts";

const HELD_MS = 2000;

/**
 * A write stays in the unit's device for seconds. Meanwhile its connection is lost, and its host
 * comes back, which may repeat it and write the block again only once it has ended.
 */
export async function heldWrite(scene: Scene): Promise<void> {
  await losesConnectionsWhileHeld(scene, (call) => isDataWrite(scene, call));
}

/** The same with what zeroes or discards, also some MiB of it: its pieces are the kernel's. */
export async function heldZeroes(scene: Scene): Promise<void> {
  await losesConnectionsWhileHeld(scene, ({ kind }) => kind === "zero" || kind === "discard");
}

async function losesConnectionsWhileHeld(
  scene: Scene,
  isToBeHeld: (call: SimMediaCall) => boolean,
): Promise<void> {
  const { world: { kernel } } = scene;
  for (let i = 0; i < 8; i++) {
    let isHeld = false;
    kernel.mediaFault = (call) => {
      if (isHeld || !isToBeHeld(call)) return "ok";
      isHeld = true;
      return "hold";
    };
    await reach(scene, "a change is held", () => isHeld);
    kernel.faults.reset = 1;
    await pass(scene, 40);
    kernel.faults.reset = 0;
    await passTime(scene, HELD_MS);
    kernel.releaseHeld();
    await pass(scene, 300);
  }
  kernel.mediaFault = () => "ok";
}

/**
 * A unit loses its power, its hosts replay what was not flushed, and are killed in the middle of
 * that: what they had not brought yet, nobody will.
 */
export async function hostEndsInReplay(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, units, hosts } = scene;
  for (let i = 0; i < 25; i++) {
    await pass(scene, 200);
    for (const { role: { machine } } of units) {
      machine.cutPower();
      machine.switchOn();
    }
    let writes = 1 + sim.below(4);
    kernel.mediaFault = (call) => {
      if (isDataWrite(scene, call)) writes--;
      return "ok";
    };
    await reach(scene, "hosts write again", () => writes <= 0);
    for (const { role } of hosts) role.end("killed");
  }
  kernel.mediaFault = () => "ok";
}

/**
 * What a host says while it attaches is held up; the host is killed, and its next process is let
 * in. Then the words of the older one arrive. Each time others of its words are held up.
 */
export async function lateAttach(scene: Scene): Promise<void> {
  const { world: { kernel }, hosts: [host], units: [unit] } = scene;
  const setDelay = (delayMs: readonly [number, number]) =>
    kernel.setLink(host!.role.machine.name, unit!.role.machine.name, { delayMs });
  const tap = kernel.tap!;
  for (let i = 0; i < 6; i++) {
    let heard = 0;
    const enough = 1 + i % 5;
    kernel.tap = {
      ...tap,
      streamBytes: (end, bytes) => {
        tap.streamBytes?.(end, bytes);
        if (end.isClient && ++heard === enough) setDelay([2000, 2500]);
      },
    };
    host!.role.end("killed");
    await reach(scene, "the host hears its unit", () => heard >= enough);
    await pass(scene, 4);
    setDelay([0.05, 1]);
    kernel.tap = tap;
    host!.role.end("killed");
    await passTime(scene, 5000);
  }
}

/** Links are slow; connections are reset within payloads, and who could repeat them is killed. */
export async function halfPayloads(scene: Scene): Promise<void> {
  const { world: { kernel }, hosts, units } = scene;
  const setSpeed = (bytesPerMs: number) => {
    for (const { role: host } of hosts) {
      for (const { role: unit } of units) {
        kernel.setLink(host.machine.name, unit.machine.name, { bytesPerMs });
      }
    }
  };
  kernel.faults.runBytesMax = 1500;
  for (let i = 0; i < 15; i++) {
    await pass(scene, 200);
    setSpeed(20);
    await pass(scene, 100);
    kernel.faults.reset = 1;
    await pass(scene, 10);
    for (const { role } of hosts) role.end("killed");
    kernel.faults.reset = 0;
    setSpeed(100_000);
  }
  Object.assign(kernel.faults, NO_FAULTS);
}

/**
 * A unit's device holds writes, and the consumers of two disks ask for all buffers that their host
 * has: what others ask for stays unread. Consumers are killed then, and new ones come: that ends
 * nobody else, the host's agent least of all. In every other round only the two disks' writes are
 * held: what the others' newer consumers have written by then is not written over by older ones'.
 */
export async function consumersGo(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users } = scene;
  while (users.request({ sizeBytes: MIB }) !== null);
  const isMade = () => users.present.every(({ state }) => state === "made");
  await reach(scene, "all disks are there", isMade);
  const space = new GrantedSpace();
  for (let i = 0; i < 8; i++) {
    const [one, two, ...others] = users.present;
    const holders = new Set([one!, two!].map(({ workload }) => workload.diskId));
    const isHeld = ({ path, position, length }: SimMediaCall) =>
      i % 2 === 0 ||
      space.within(kernel.media.get(path)!, position, length)
        .some(({ volume }) => holders.has(volume.leg.diskId));
    for (const { workload } of others) workload.isPaused = true;
    kernel.mediaFault = (call) => isDataWrite(scene, call) && isHeld(call) ? "hold" : "ok";
    await passTime(scene, 200);
    for (const { workload } of others) workload.isPaused = false;
    for (const { consumer } of others) consumer.end("killed");
    await passTime(scene, 300);
    const gone = i % 4 < 2 ? others : [one!, two!, ...others];
    for (const { consumer } of gone) consumer.end("killed");
    await passTime(scene, 300 + 100 * sim.fraction());
    kernel.mediaFault = () => "ok";
    kernel.releaseHeld();
    await passTime(scene, 100);
  }
}

/**
 * A disk is used without its agent, and its unit's machine loses its power: who comes back by the
 * token is told by a failed flush. But that flush takes long, and its consumer is killed before it
 * hears of it: the next one is told, and no flush succeeds before somebody was.
 */
export async function directConsumersGo(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units: [unit] } = scene;
  const disk = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  for (const other of users.present) if (other !== disk) other.workload.isPaused = true;
  users.handOut(disk);
  await reach(scene, "it is used without its agent", () => disk.direct?.consumer.isReady === true);
  const { machine } = unit!.role;
  let flushes = 0;
  sim.checkers.push({
    name: "story",
    asked: ({ kind, isDirect }) => {
      if (kind === "flush" && isDirect) flushes++;
    },
  });
  for (let i = 0; i < 6; i++) {
    await passTime(scene, 3000);
    machine.cutPower();
    machine.switchOn();
    await reach(scene, "the unit is back", () => unit!.role.isReady);
    await reach(scene, "so is its consumer", () => disk.direct?.consumer.isReady === true);
    let syncs = 0;
    const before = flushes;
    kernel.mediaFault = ({ kind }) => {
      if (kind !== "sync" || flushes === before) return "ok";
      syncs++;
      return "hold";
    };
    await reach(scene, "a flush is under way", () => syncs > 0);
    await passTime(scene, 100);
    disk.direct!.consumer.end("killed");
    await passTime(scene, 500);
    kernel.mediaFault = () => "ok";
    kernel.releaseHeld();
  }
  await passTime(scene, 5000);
  users.endDirect();
}
