import type { PoolPicture } from "../agreement/agreement.ts";
import { labelsOf } from "../agreement/labels.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import type { SimMediaCall } from "../../../storage/io/sim_world.ts";
import type { Scene } from "../scenario/scene.ts";
import { isDataWrite, pass, passTime, reach, shown } from "./story.ts";

/**
 * A host's membership is ended while writes of it are held in the unit's device: the fence waits
 * for them. Then the unit is started anew, and the host, which heard nothing of it, comes again.
 */
export async function hostIsFenced(scene: Scene): Promise<void> {
  await fenceWhileHeld(scene, (call) => isDataWrite(scene, call));
}

/** The same with what zeroes or discards, which carries no stamp. */
export async function zeroesAreFenced(scene: Scene): Promise<void> {
  await fenceWhileHeld(scene, ({ kind, length }) => {
    // What is zeroed before space is granted goes in larger pieces.
    return (kind === "zero" || kind === "discard") && length < MIB / 2;
  });
}

/** The same with some MiB at a time. */
export async function longZeroesAreFenced(scene: Scene): Promise<void> {
  await fenceWhileHeld(scene, ({ kind, length }) => {
    return (kind === "zero" || kind === "discard") && length >= MIB;
  });
}

async function fenceWhileHeld(
  scene: Scene,
  isHeld: (call: SimMediaCall) => boolean,
): Promise<void> {
  const { sim, world, station, units, users } = scene;
  const { kernel } = world;
  const made = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, `${made.key} is there`, () => made.state === "made");
  await pass(scene, 500);
  const host = made.host;
  world.cut(station.machine, host.machine);
  world.cut(host.machine, station.machine);
  let held = 0;
  kernel.mediaFault = (call) => {
    if (!isHeld(call)) return "ok";
    held++;
    return "hold";
  };
  await reach(scene, "a change is held", () => held > 0);
  scene.revoked.add(host);
  for (const disk of users.disks) if (disk.host === host) users.forget(disk);
  scene.operator.revoke(host);
  await passTime(scene, 3000);
  kernel.mediaFault = () => "ok";
  kernel.releaseHeld();
  await passTime(scene, 3000);
  for (let i = 0; i < 3; i++) {
    for (const { role } of units) role.end("killed");
    await reach(scene, "units are back", () => units.every(({ role }) => role.isReady));
    host.end("killed");
    await reach(scene, "the host is back", () => host.isReady);
    await passTime(scene, 1000 + 4000 * sim.fraction());
  }
  world.mend(station.machine, host.machine);
  world.mend(host.machine, station.machine);
}

/**
 * A host's membership is ended while a failed sync has poisoned the medium of its disk: nothing can
 * be made durable there, so the fence is not acknowledged and the station says what it waits for,
 * also after the unit was started anew. Once an operator has had the medium opened anew, the fence
 * ends by itself.
 */
export async function fencedWhilePoisoned(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units: [unit] } = scene;
  const made = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, `${made.key} is there`, () => made.state === "made");
  kernel.faults.syncError = 1;
  let picture = await shown(scene);
  for (let looks = 0; picture.units.every(({ media }) => media[0]?.state !== "poisoned"); looks++) {
    if (looks > 100) sim.violated("story", "no failed sync poisons the medium");
    await passTime(scene, 500);
    picture = await shown(scene);
  }
  kernel.faults.syncError = 0;
  const { host } = made;
  scene.revoked.add(host);
  for (const disk of users.disks) if (disk.host === host) users.forget(disk);
  scene.operator.revoke(host);
  for (let starts = 0; starts < 2; starts++) {
    await passTime(scene, 10_000);
    picture = await shown(scene);
    const [medium] = picture.units[0]!.media;
    if (medium?.state !== "poisoned") sim.violated("story", `the medium is ${medium?.state}`);
    expectFencing(scene, picture);
    if (starts > 0) break;
    // That mends nothing.
    unit!.role.end("killed");
    await reach(scene, "the unit is back", () => unit!.role.isReady);
  }
  scene.operator.look();
  await passTime(scene, 30_000);
  picture = await shown(scene);
  const left = picture.volumes.find(({ difference }) => difference?.includes("fenced"));
  if (left !== undefined) sim.violated("story", `the fence never ends: ${left.difference}`);
}

function expectFencing({ sim }: Scene, { volumes }: PoolPicture): void {
  const fencing = volumes.filter(({ difference }) => /fenced/.test(difference ?? ""));
  if (fencing.length === 0) sim.violated("story", "the fence does not wait for the medium");
  for (const { id, difference } of fencing) {
    sim.say(`volume ${id}: ${difference}`);
    if (!difference!.includes("poisoned")) {
      sim.violated("story", `nobody says why the fence of ${id} takes long: ${difference}`);
    }
  }
}

/**
 * A unit has shut a host out and is killed before its label says so: nothing was acknowledged, and
 * its label still grants. Back, and out of the station's reach, it lets the host in; the station
 * calls nothing fenced meanwhile, and has it fenced once it reaches the unit.
 */
export async function killedInFence(scene: Scene): Promise<void> {
  const { sim, world, station, units: [unit], users } = scene;
  const { kernel } = world;
  const { machine } = unit!.role;
  const made = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, `${made.key} is there`, () => made.state === "made");
  await pass(scene, 500);
  const { diskId } = made.workload;
  const grant = () =>
    labelsOf(scene).flatMap(({ label }) => label.volumes)
      .find(({ leg }) => leg.diskId === diskId)?.grant?.state;
  const expectOpen = async (when: string) => {
    if (grant() !== "active") sim.violated("story", `the label says ${grant()} ${when}`);
    const { tasks, volumes } = await shown(scene);
    const isFenced = tasks.some(({ title, log, state }) =>
      title.startsWith("Revoke") && state === "done" && !/Not fenced yet/.test(JSON.stringify(log))
    );
    if (isFenced) sim.violated("story", `the revocation is called done ${when}`);
    if (!volumes.some(({ difference }) => difference?.includes("fenced"))) {
      sim.violated("story", `nobody says that a grant is to be fenced ${when}`);
    }
  };
  let held = 0;
  kernel.mediaFault = (call) => {
    if (call.kind !== "write" || isDataWrite(scene, call)) return "ok";
    held++;
    return "hold";
  };
  scene.revoked.add(made.host);
  for (const disk of users.disks) if (disk.host === made.host) users.forget(disk);
  scene.operator.revoke(made.host);
  await reach(scene, "a write to the label is held", () => held > 0);
  await passTime(scene, 1000);
  await expectOpen("while its write is held");
  unit!.role.end("killed");
  kernel.mediaFault = () => "ok";
  world.cut(station.machine, machine);
  world.cut(machine, station.machine);
  await reach(scene, "the unit is back", () => unit!.role.isReady);
  await passTime(scene, 3000);
  await expectOpen("behind the unit's return");
  world.mend(station.machine, machine);
  world.mend(machine, station.machine);
  await reach(scene, "the label says that it is fenced", () => grant() === "fenced");
  await passTime(scene, 3000);
  unit!.role.end("killed");
  await reach(scene, "the unit is back again", () => unit!.role.isReady);
  await passTime(scene, 3000);
  if (grant() !== "fenced") sim.violated("story", "the fence is forgotten");
}
