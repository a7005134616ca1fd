import { fromUtf8 } from "../../../protocol/core/bytes.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import { labelsOf } from "../agreement/labels.ts";
import { type Backup, backupOf, restore } from "../faults/station.ts";
import { stateOf } from "../machines/cluster.ts";
import { askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import type { UsedDisk } from "../scenario/users.ts";
import { passTime, reach, shown } from "./story.ts";

/**
 * There are two histories of a pool, as its station was put back to a snapshot: in the one a disk
 * was released while neither its unit nor its host heard of it, in the other it is in use. Somebody
 * puts the first one's station back while the unit has no power, so that its host alone has what
 * was not flushed. The disk stays, whether or not it was granted anew since; nobody deletes it, and
 * its host is not told to let go of it.
 */
export async function releasedInAnotherHistory(scene: Scene): Promise<void> {
  const { sim, users, station } = scene;
  const disk = users.request({ sizeBytes: 2 * MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  const released = await releaseUnheard(scene, disk);
  await agree(scene);

  // What its unit obeyed is all that shows it.
  station.end("killed");
  const right = backupOf(station.machine);
  await putBack(scene, released);
  const { pool } = await shown(scene);
  if (pool.state !== "recovered") sim.violated("story", `the station is ${pool.state}`);
  expectHeld(scene, disk);
  station.end("killed");
  restore(station.machine, right);
  await agree(scene);

  // Its grant is newer than the one of whoever released it.
  users.handOut(disk);
  await reach(scene, "it is used without its agent", () => disk.direct?.consumer.isReady === true);
  users.endDirect();
  users.giveBack(disk);
  await agree(scene);
  await reach(scene, "its consumer is back", () => disk.consumer.isReady);
  await passTime(scene, 2000);
  station.end("killed");
  await putBack(scene, released);
  await agree(scene);
  expectHeld(scene, disk);
}

/**
 * A host without a disk is revoked, and then the station's whole directory of before is put back:
 * the revocation is on no label and in no file of the station's. Nodes have heard that there was
 * more, and remember it when all of them were restarted, too. What is confirmed is not asked again.
 */
export async function revokedUnseen(scene: Scene): Promise<void> {
  const { sim, users, station, hosts, units, revoked, operator } = scene;
  await agree(scene);
  const host = hosts.find(({ role }) => users.disks.every((disk) => disk.host !== role))!.role;
  // A copy of a station that runs has the run's name already, and one of before has not.
  if (sim.chance(0.5)) station.end("killed");
  const old = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  await passTime(scene, 10_000);
  revoked.add(host);
  operator.revoke(host);
  await passTime(scene, 15_000);
  station.end("killed");
  if (sim.chance(0.5)) { for (const { role } of [...units, ...hosts]) role.end("killed"); }
  restore(station.machine, old);
  for (const state of ["recovered", "normal"]) {
    await reach(scene, "the station is back", () => station.isReady);
    await passTime(scene, 15_000);
    const { pool } = await shown(scene);
    if (pool.state !== state) sim.violated("story", `the station is ${pool.state}`);
    await agree(scene);
    station.end("killed");
  }
}

/** The station as it was then; and then it is put back to before that, and everybody hears it. */
async function releaseUnheard(scene: Scene, disk: UsedDisk): Promise<Backup> {
  const { station } = scene;
  station.end("killed");
  const before = backupOf(station.machine);
  cutAll(scene, true);
  await reach(scene, "the station is back", () => station.isReady);
  const path = `/disks/${disk.host.name}%2F${disk.name}`;
  askStation(station, { method: "DELETE", path }).catch(() => {});
  await passTime(scene, 60_000);
  station.end("killed");
  const released = backupOf(station.machine);
  restore(station.machine, before);
  cutAll(scene, false);
  await reach(scene, "the station is back with its old catalog", () => station.isReady);
  return released;
}

/** Its unit comes some seconds after the station and the host. */
async function putBack(scene: Scene, backup: Backup): Promise<void> {
  const { station, units } = scene;
  for (const { role: { machine } } of units) machine.cutPower();
  restore(station.machine, backup);
  await reach(scene, "the station is back with another catalog", () => station.isReady);
  await passTime(scene, 3000);
  for (const { role: { machine } } of units) machine.switchOn();
  await reach(scene, "the unit is back", () => units.every(({ role }) => role.isReady));
  await passTime(scene, 8000);
}

/** By its unit's labels and by its host's book. */
function expectHeld(
  scene: Scene,
  { key, host: { machine }, workload: { diskId } }: UsedDisk,
): void {
  const { sim } = scene;
  const isHeld = labelsOf(scene).some(({ label }) =>
    label.volumes.some(({ leg }) => leg.diskId === diskId)
  );
  if (!isHeld) sim.violated("story", `${key} was deleted, which is in use`);
  const book = machine.files.get(`${stateOf(machine)}/disks.json`) ?? new Uint8Array();
  if (fromUtf8(book)?.includes(diskId) === true) return;
  sim.violated("story", `${machine.name} was told to let go of ${key}, which is in use`);
}

/** Nobody hears the station, or all do again. */
function cutAll({ world, station, units, hosts }: Scene, areCut: boolean): void {
  for (const { role: { machine } } of [...units, ...hosts]) {
    for (const [from, to] of [[station.machine, machine], [machine, station.machine]] as const) {
      if (areCut) world.cut(from, to);
      else world.mend(from, to);
    }
  }
}
