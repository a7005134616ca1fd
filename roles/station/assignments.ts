import type { Assignment, LegAssignment } from "../../protocol/config/bodies.ts";
import { LBA_BYTES } from "../../protocol/core/limits.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";

/** The map of a disk as its host is told it: only legs whose grants were acknowledged. */
export function assignmentOf(catalog: Catalog, disk: DiskRow): Assignment {
  const gone = disk.state === "releasing" || disk.state === "released";
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
