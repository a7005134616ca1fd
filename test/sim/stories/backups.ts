import { MIB } from "../../../protocol/core/limits.ts";
import { labelsOf } from "../agreement/labels.ts";
import { backupOf, loseCatalog, restore } from "../faults/station.ts";
import { askAgent, askStation } from "../operators/api.ts";
import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import type { UsedDisk } from "../scenario/users.ts";
import { pass, passTime, reach, shown } from "./story.ts";

/** A backup is restored: its station has the epoch that units know, and is another instance. */
export async function olderBackup(scene: Scene): Promise<void> {
  const { users, station } = scene;
  await restart(scene);
  station.end("killed");
  const old = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  const before = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made", () => before.state === "made");
  station.end("killed");
  restore(station.machine, old);
  await agree(scene);
  const after = users.request({ sizeBytes: MIB })!;
  await reach(scene, "another disk is made", () => after.state === "made");
}

/**
 * A station is put back to before its last start, and begins the same epoch as another instance.
 * Its unit has obeyed the first one and nothing else has changed since: that is all that tells of
 * it, and the unit has been restarted.
 */
export async function oneEpochTwice(scene: Scene): Promise<void> {
  const { users, station, units } = scene;
  const disk = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  for (let i = 0; i < 3; i++) {
    station.end("killed");
    const old = backupOf(station.machine);
    await reach(scene, "the first one runs", () => station.isReady);
    await agree(scene);
    station.end("killed");
    for (const { role } of units) role.end("killed");
    restore(station.machine, old);
    await agree(scene);
  }
}

/** A disk grows, is written to its end, and a catalog is restored that knows its old size. */
export async function restoredBeforeGrowth(scene: Scene): Promise<void> {
  const { users, station } = scene;
  const disk = users.request({ sizeBytes: 2 * MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  station.end("killed");
  const old = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  await agree(scene);
  await grow(scene, disk);
  await pass(scene, 1000);
  station.end("killed");
  restore(station.machine, old);
  await agree(scene);
  await pass(scene, 500);
}

/**
 * A disk grows, and the station's whole directory of before is restored while no unit is in its
 * reach: none of them can make it doubt its catalog, and its host is to take no older map from it.
 */
export async function toldAnOlderMap(scene: Scene): Promise<void> {
  const { users, station } = scene;
  const disk = users.request({ sizeBytes: 2 * MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  station.end("killed");
  const old = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  await agree(scene);
  await grow(scene, disk);
  station.end("killed");
  cutUnits(scene, true);
  restore(station.machine, old);
  await reach(scene, "the station is back with its old catalog", () => station.isReady);
  await passTime(scene, 5000);
  // What it serves goes on as it was; what it kept shows when it starts anew.
  disk.host.end("killed");
  disk.consumer.end("killed");
  await passTime(scene, 10_000);
  cutUnits(scene, false);
  await agree(scene);
}

/**
 * A catalog is lost and found again, of which hosts are told under newer maps and units nothing;
 * then the station's whole directory of before is restored: hosts alone show that it is behind.
 */
export async function hostsAreAhead(scene: Scene): Promise<void> {
  const { users, station } = scene;
  const disk = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  station.end("killed");
  const old = backupOf(station.machine);
  loseCatalog(scene);
  await agree(scene);
  station.end("killed");
  restore(station.machine, old);
  await agree(scene);
}

/**
 * A disk is released while its unit is away, and the catalog of then is restored: the station knows
 * that it is behind, and the unit comes back with what it is to delete.
 */
export async function behindWithTombstones(scene: Scene): Promise<void> {
  const { users, station } = scene;
  const disk = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  cutUnits(scene, true);
  users.forget(disk);
  const path = `/disks/${disk.host.name}%2F${disk.name}`;
  let isAsked = false;
  askStation(station, { method: "DELETE", path }).finally(() => isAsked = true).catch(() => {});
  await reach(scene, "the station was asked to release it", () => isAsked);
  await pass(scene, 200);
  station.end("killed");
  const { database } = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  await restart(scene);
  station.end("killed");
  restore(station.machine, { ...backupOf(station.machine), database });
  await reach(scene, "the station is back with its old catalog", () => station.isReady);
  cutUnits(scene, false);
  await pass(scene, 4000);
}

/**
 * A host is revoked while its unit is away, and then a copy of the catalog from before is restored:
 * it is let in nowhere, and the station says that it is behind and fences nothing unasked. Once an
 * operator has confirmed, what the unit still grants is fenced.
 */
export async function revokedThenRestored(scene: Scene): Promise<void> {
  const { sim, users, station, operator } = scene;
  const disk = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  station.end("killed");
  const { database } = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  cutUnits(scene, true);
  scene.revoked.add(disk.host);
  for (const other of users.disks) if (other.host === disk.host) users.forget(other);
  operator.revoke(disk.host);
  await passTime(scene, 5000);
  station.end("killed");
  restore(station.machine, { ...backupOf(station.machine), database });
  await reach(scene, "the station is back with its old catalog", () => station.isReady);
  cutUnits(scene, false);
  await passTime(scene, 10_000);
  const { pool, hosts } = await shown(scene);
  if (pool.state !== "recovered") sim.violated("story", `the station is ${pool.state}`);
  const host = hosts.find(({ name }) => name === disk.host.name);
  if (host?.state !== "revoked") sim.violated("story", `${host?.name} is ${host?.state}`);
  const grants = () =>
    labelsOf(scene).flatMap(({ label }) => label.volumes)
      .filter(({ leg }) => leg.ownerName === disk.host.name).map(({ grant }) => grant?.state);
  if (!grants().includes("active")) {
    sim.violated("story", "it was fenced before that was confirmed");
  }
  await agree(scene);
  const left = grants().filter((state) => state !== "fenced");
  if (left.length > 0) sim.violated("story", `its grants are ${left.join(", ")}`);
}

/**
 * A host is revoked and fenced, and then the station's whole directory of before is restored: of
 * the revocation nothing is left, and the host comes in. What it asks for is granted to nobody
 * before an operator has confirmed what the unit shows.
 */
export async function revokedInNoBackup(scene: Scene): Promise<void> {
  const { sim, users, station, operator } = scene;
  const disk = users.disks.find(({ state }) => state === "made") ?? users.request()!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  station.end("killed");
  const old = backupOf(station.machine);
  await reach(scene, "the station is back", () => station.isReady);
  const { host } = disk;
  scene.revoked.add(host);
  for (const other of users.disks) if (other.host === host) users.forget(other);
  await passTime(scene, 5000);
  operator.revoke(host);
  await passTime(scene, 10_000);
  station.end("killed");
  restore(station.machine, old);
  await reach(scene, "the station is back with its old catalog", () => station.isReady);
  await passTime(scene, 30_000);
  askAgent(host, "create", { name: "more", sizeBytes: MIB }).catch(() => {});
  await passTime(scene, 10_000);
  const { pool } = await shown(scene);
  if (pool.state !== "recovered") sim.violated("story", `the station is ${pool.state}`);
  const made = labelsOf(scene).flatMap(({ label }) => label.volumes)
    .filter(({ leg }) => leg.ownerName === host.name && leg.diskName === "more");
  if (made.length === 0) sim.violated("story", "nothing was made for the host");
  if (made.some(({ grant }) => grant !== null)) {
    sim.violated("story", `${host.name} was granted a disk before that was confirmed`);
  }
  await agree(scene);
}

/**
 * Station and host are put back to a snapshot, so that two stations run on copies of one catalog,
 * one after the other and under one epoch. Both hand a disk out without its agent, the other while
 * no unit reaches it, and give the same generation with other tokens. Who is let in is whom the
 * unit has let in: the other station learns it, and tells nobody tokens that open nothing.
 */
export async function generationGivenTwice(scene: Scene): Promise<void> {
  const { sim, users, station } = scene;
  const disk = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made", () => disk.state === "made");
  await agree(scene);
  station.end("killed");
  const old = backupOf(station.machine);
  const { host } = disk;
  host.end("killed");
  const files = new Map(host.machine.files);
  await reach(scene, "the first station runs", () => station.isReady);
  await agree(scene);
  users.handOut(disk);
  await reach(scene, "the disk is used without its agent", () => disk.direct !== null);
  await passTime(scene, 1000);
  users.endDirect();
  station.end("killed");
  host.end("killed");
  cutUnits(scene, true);
  restore(station.machine, old);
  host.machine.files.clear();
  for (const [path, bytes] of files) host.machine.files.set(path, bytes);
  await reach(scene, "the other station runs", () => station.isReady);
  await passTime(scene, 8000);
  users.handOut(disk);
  await passTime(scene, 1000);
  cutUnits(scene, false);
  await passTime(scene, 20_000);
  const { tasks } = await shown(scene);
  const waiting = tasks.find(({ state }) => state === "running");
  if (waiting !== undefined) sim.violated("story", `"${waiting.title}" waits: ${waiting.step}`);
  if (disk.direct !== null) sim.violated("story", "tokens were told that open nothing");
  await agree(scene);
}

/** To three times its size; whoever uses it opens it anew. */
async function grow(scene: Scene, disk: UsedDisk): Promise<void> {
  scene.users.grow(disk, { sizeBytes: 6 * MIB });
  await passTime(scene, 3000);
  // An open connection does not see a size change.
  disk.consumer.end("killed");
  await reach(scene, "the disk is larger", () => disk.workload.sizeBytes === 6 * MIB);
}

/** Station and units do not hear each other, or do again. */
function cutUnits({ world, station, units }: Scene, areCut: boolean): void {
  for (const { role: { machine } } of units) {
    for (const [from, to] of [[station.machine, machine], [machine, station.machine]] as const) {
      if (areCut) world.cut(from, to);
      else world.mend(from, to);
    }
  }
}

async function restart(scene: Scene): Promise<void> {
  const { station } = scene;
  station.stop();
  await reach(scene, "the station is gone", () => !station.isReady);
  await reach(scene, "the station is back", () => station.isReady);
}
