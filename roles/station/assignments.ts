import type { Assignment, LegAssignment, LegInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { LBA_BYTES } from "../../protocol/core/limits.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";

/** The map of a disk as its host is told it: only legs whose grants were acknowledged. */
export function assignmentOf(catalog: Catalog, disk: DiskRow): Assignment {
  const gone = isGoing(disk);
  const legs = gone ? [] : legsOf(catalog, disk);
  return {
    diskId: disk.id,
    name: disk.name,
    layout: disk.layout,
    version: disk.version,
    sizeBytes: legs.reduce((sum, leg) => sum + leg.sizeBytes, 0),
    state: gone ? "released" : disk.access === "direct" ? "direct" : "attached",
    legs,
  };
}

/** Its host is told that it has it no more. */
export function isGoing({ state }: DiskRow): boolean {
  return state === "releasing" || state === "released";
}

/** Whether every published leg has a grant and a unit that are known here. */
export function isWhole(catalog: Catalog, disk: DiskRow): boolean {
  if (isGoing(disk)) return true;
  return catalog.legsOf(disk.id).every((leg) =>
    leg.publishedBytes === 0 || (catalog.grants.has(leg.id) && catalog.nodes.has(leg.unitId))
  );
}

/** Disks of a host that it should hold assignments of. */
export function toldDisks(catalog: Catalog, hostId: string): DiskRow[] {
  return [...catalog.disks.values()].filter((disk) => disk.hostId === hostId && disk.version > 0);
}

function legsOf(catalog: Catalog, disk: DiskRow): LegAssignment[] {
  const legs: LegAssignment[] = [];
  for (const volume of catalog.legsOf(disk.id)) {
    const grant = catalog.grants.get(volume.id);
    const unit = catalog.nodes.get(volume.unitId);
    if (volume.publishedBytes === 0 || grant === undefined || unit === undefined) continue;
    legs.push({
      leg: volume.leg,
      unitId: unit.id,
      unitName: unit.name,
      unitKey: unit.publicKey,
      addresses: JSON.parse(unit.dataAddressesJson) as string[],
      volumeId: volume.id,
      volumeNumber: volume.number,
      sizeBytes: volume.publishedBytes,
      startLba: volume.startLba,
      endLba: volume.startLba + volume.publishedBytes / LBA_BYTES - 1,
      generation: { epoch: grant.epoch, counter: grant.counter },
    });
  }
  return legs;
}

/** What the unit writes on its label about a volume, so that disks can be rebuilt from labels. */
export function legInfoOf(catalog: Catalog, volumeId: string): LegInfo {
  const volume = catalog.volumes.get(volumeId);
  const disk = catalog.disks.get(volume?.diskId ?? "");
  const host = catalog.nodes.get(disk?.hostId ?? "");
  if (volume === undefined || disk === undefined || host === undefined) {
    throw new DvsanError("unknown", `Volume ${volumeId} has no disk or owner any more.`);
  }
  return {
    diskId: disk.id,
    diskName: disk.name,
    layout: disk.layout,
    leg: volume.leg,
    legs: catalog.legsOf(disk.id).length,
    ownerId: host.id,
    ownerName: host.name,
    ownerKey: host.publicKey,
  };
}
