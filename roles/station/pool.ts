import { MAP_VERSIONS_PER_EPOCH } from "../../protocol/core/limits.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";
import type { Delivery } from "./delivery.ts";
import type { Epoch } from "./epoch.ts";
import type { Events } from "./events.ts";
import type { HeardMarks } from "./heard_marks.ts";
import { volumesOf } from "./lookup.ts";
import type { NewerMaps } from "./newer_maps.ts";
import type { Nodes } from "./nodes.ts";
import type { Observed } from "./observed.ts";
import type { World } from "./ports.ts";
import type { Standing } from "./standing.ts";
import type { RevokedNodes } from "./revoked_nodes.ts";
import type { Strays } from "./strays.ts";
import type { Reconciler } from "./reconcile.ts";
import type { Candidate } from "./allocation.ts";
import { allocatedBytesOf } from "./allocation.ts";
import type { Watch } from "./watch.ts";

/** The parts of a running station that tasks and views work with. */
export interface Pool {
  readonly world: World;
  readonly catalog: Catalog;
  readonly epoch: Epoch;
  readonly events: Events;
  readonly watch: Watch;
  readonly nodes: Nodes;
  readonly revoked: RevokedNodes;
  readonly observed: Observed;
  readonly reconciler: Reconciler;
  readonly delivery: Delivery;
  readonly standing: Standing;
  readonly strays: Strays;
  readonly newerMaps: NewerMaps;
  readonly heardMarks: HeardMarks;
  /** Media that a unit adopts for an operator now. */
  readonly adopting: Set<string>;
}

/** Above the version that any host was told, also when this catalog is younger than the disk. */
export function nextVersion(pool: Pool, disk: DiskRow): number {
  const floor = disk.adopted === 1 ? pool.epoch.value * MAP_VERSIONS_PER_EPOCH : 0;
  return Math.max(disk.version + 1, floor);
}

export function disksOn({ catalog }: Pool, unitId: string): readonly DiskRow[] {
  const ids = [...catalog.volumes.values()].filter((leg) => leg.unitId === unitId)
    .map((leg) => leg.diskId);
  return [...new Set(ids)].map((id) => catalog.disks.get(id)).filter((disk) => disk !== undefined);
}

/** Hosts that know where this unit was are told where it is by a new version of their maps. */
export function movedMaps(pool: Pool, unitId: string): readonly Change[] {
  return disksOn(pool, unitId).filter(({ version, state }) => version > 0 && state === "ready")
    .map((disk) => ({ table: "disks", put: { ...disk, version: nextVersion(pool, disk) } }));
}

/** Has every unit of the disk, and its host, looked at again. */
export function kickDisk(pool: Pool, diskId: string): void {
  const units = new Set(pool.catalog.legsOf(diskId).map((volume) => volume.unitId));
  for (const tombstone of pool.catalog.tombstones.values()) {
    if (tombstone.diskId === diskId && tombstone.done === 0) units.add(tombstone.unitId);
  }
  for (const unitId of units) void pool.reconciler.kick(unitId);
  const disk = pool.catalog.disks.get(diskId);
  if (disk !== undefined) void pool.delivery.kick(disk.hostId);
}

/** Whatever hosts were not told yet, and may be told now. */
export function kickHosts({ catalog, delivery }: Pool): void {
  for (const { id, role } of catalog.nodes.values()) if (role === "host") void delivery.kick(id);
}

/** Nobody is told that there is no room while the units come back after the station's start. */
export async function untilUnitsReturned(pool: Pool, signal?: AbortSignal): Promise<void> {
  if (!pool.nodes.areUnitsReturning()) return;
  const isOver = () => pool.nodes.areUnitsReturning() ? null : true;
  await pool.watch.until(isOver, signal === undefined ? {} : { signal });
}

/** Every unit as the allocation sees it, by name. */
export function candidatesOf(pool: Pool): Candidate[] {
  const units = [...pool.catalog.nodes.values()].filter((node) => node.role === "unit");
  return units.sort((a, b) => a.name < b.name ? -1 : 1).map((unit) => {
    const info = pool.observed.last(unit.id);
    return {
      unitId: unit.id,
      name: unit.name,
      excluded: pool.nodes.isOnline(unit.id)
        ? putBackReason(pool, unit.id)
        : pool.nodes.reason(unit.id) ?? "not connected",
      spare: unit.spare === 1,
      media: info?.media ?? [],
      // With those whose medium is away: it brings them all back.
      volumes: volumesOf(pool.catalog, unit.id, info?.volumes ?? []).size,
      promisedBytes: promisedBytes(pool, unit.id),
    };
  });
}

/** Nobody would be granted what it took from such a medium. */
function putBackReason({ observed }: Pool, unitId: string): string | null {
  const media = observed.last(unitId)?.media ?? [];
  const older = media.find(({ id }) => observed.olderThan(unitId, id) !== null);
  return older === undefined ? null : `its medium ${older.path} is older than before`;
}

/** What the catalog wants of a unit beyond what the unit has taken from its media already. */
function promisedBytes(pool: Pool, unitId: string): number {
  let promised = 0;
  for (const volume of pool.catalog.volumes.values()) {
    if (volume.unitId !== unitId) continue;
    const held = pool.observed.volume(unitId, volume.id);
    if (held === null && volume.created === 1) continue;
    const wanted = allocatedBytesOf(volume.sizeBytes);
    promised += Math.max(0, wanted - (held?.allocatedBytes ?? 0));
  }
  return promised;
}
