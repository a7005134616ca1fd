import { MIB } from "../../../protocol/core/limits.ts";
import { labelsOf } from "../agreement/labels.ts";
import { stateOf } from "../machines/cluster.ts";
import { agree } from "../scenario/settle.ts";
import type { Scene } from "../scenario/scene.ts";
import { releaseAll } from "./space.ts";
import { isDataWrite, passTime, reach } from "./story.ts";

/** A disk is to grow while its unit's label cannot be written, and its host loses its book. */
export async function growsSlowly(scene: Scene): Promise<void> {
  const { world: { kernel }, users, hosts } = scene;
  const disk = users.request({ sizeBytes: 2 * MIB })!;
  await reach(scene, "a disk is used", () => disk.workload.sizeBytes > 0);
  kernel.mediaFault = (call) => call.kind === "write" && !isDataWrite(scene, call) ? "hold" : "ok";
  users.grow(disk, { sizeBytes: 8 * MIB });
  users.pause(true);
  await passTime(scene, 1000);
  for (const { role } of hosts) {
    role.end("killed");
    role.machine.files.delete(`${stateOf(role.machine)}/disks.json`);
  }
  // Longer than heartbeats take, which tell that a host has another map than the station's.
  await passTime(scene, 15_000);
  users.pause(false);
  kernel.mediaFault = () => "ok";
  kernel.releaseHeld();
}

/** A disk is released while its unit is away; when that comes back, nobody has the disk. */
export async function releasedUnheard(scene: Scene): Promise<void> {
  const { users, units: [unit] } = scene;
  const disk = users.request({ sizeBytes: 2 * MIB })!;
  await reach(scene, "a disk is there and in use", () => disk.workload.sizeBytes > 0);
  unit!.role.machine.cutPower();
  users.release(disk);
  await passTime(scene, 30_000);
  unit!.role.machine.switchOn();
  await agree(scene);
}

/**
 * A host is killed while what it sent is on its way for seconds yet, and its next incarnation
 * reads and writes the same blocks meanwhile.
 */
export async function lateBytes(scene: Scene): Promise<void> {
  const { world: { kernel }, hosts } = scene;
  for (let i = 0; i < 4; i++) {
    await passTime(scene, 1000);
    kernel.faults.delayed = 1;
    kernel.faults.delayedMs = [3000, 4000];
    await passTime(scene, 200);
    for (const { role } of hosts) role.end("killed");
    kernel.faults.delayed = 0;
    await reach(scene, "hosts are back", () => hosts.every(({ role }) => role.isReady));
    await passTime(scene, 6000);
  }
}

/** Labels take seconds to be written, and the station asks meanwhile what its unit holds. */
export async function slowLabels(scene: Scene): Promise<void> {
  const { world: { kernel }, users } = scene;
  kernel.mediaDelayMs = (call) =>
    call.kind === "write" && !isDataWrite(scene, call) ? 1000 + call.position % 500 : 0;
  for (let i = 0; i < 4; i++) {
    const disk = users.request({ sizeBytes: 2 * MIB });
    await passTime(scene, 5000);
    if (disk !== null && disk.state === "made") users.grow(disk, { sizeBytes: 4 * MIB });
    await passTime(scene, 5000);
    if (disk !== null) users.release(disk);
    await passTime(scene, 3000);
  }
  kernel.mediaDelayMs = () => 0;
}

/**
 * A unit's medium stands still over the label of a new volume while a restarted station asks what
 * there is, and then the unit's power fails: the volume never was, and is made again.
 */
export async function creationUndone(scene: Scene): Promise<void> {
  const { world: { kernel }, users, station, units: [unit] } = scene;
  const { machine } = unit!.role;
  for (let i = 0; i < 3; i++) {
    kernel.mediaDelayMs = (call) => call.kind === "write" && !isDataWrite(scene, call) ? 60_000 : 0;
    const disk = users.request({ sizeBytes: 2 * MIB });
    await passTime(scene, 3000);
    station.end("killed");
    await reach(scene, "the station is back", () => station.isReady);
    await passTime(scene, 12_000);
    kernel.mediaDelayMs = () => 0;
    machine.cutPower();
    machine.switchOn();
    await reach(scene, "the disk is made", () => disk === null || disk.state === "made");
    await passTime(scene, 5000);
  }
}

/**
 * A unit is cut off while it makes a disk's volume, comes back without that medium, and makes it
 * anew on the other one. Later it has only the first one for a while, which nobody was granted.
 */
export async function madeTwice(scene: Scene): Promise<void> {
  const { world: { kernel }, users, units: [unit] } = scene;
  const { role, plan } = unit!;
  const aside = `/${plan.name}/aside.img`;
  await releaseAll(scene);
  for (let i = 0; i < 2; i++) {
    const disk = users.request({ sizeBytes: 8 * MIB })!;
    const made = () => labelsOf(scene).find(({ label }) => label.volumes.length > 0);
    // The unit did not hear yet that it is on the label, and nobody else does.
    await reach(scene, "a label has the volume", () => made() !== undefined);
    role.end("killed");
    const first = made()!.path;
    kernel.moveMedium(first, aside);
    await reach(scene, "it was made again and is used", () => disk.workload.sizeBytes > 0);
    const second = made()!.path;
    await passTime(scene, 2000);
    role.end("killed");
    kernel.moveMedium(aside, first);
    kernel.moveMedium(second, aside);
    await reach(scene, "the unit is back with the first one", () => role.isReady);
    await passTime(scene, 20_000);
    role.end("killed");
    kernel.moveMedium(aside, second);
    await agree(scene);
    await releaseAll(scene);
  }
}
