import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";

/**
 * Takes a volume that a unit holds, and that the catalog does not know, into the catalog with what
 * its label says: nothing is ever deleted for being unknown (control.md §4). Where another volume
 * has its place in the disk, it becomes a disk of its own, so that no work on the other touches
 * it. Hosts are told nothing: they keep what they were told by whoever granted it.
 */
export function adoption(
  catalog: Catalog,
  found: { readonly unitId: string; readonly held: VolumeInfo; readonly wallMs: number },
): Change[] {
  const { unitId, held, wallMs } = found;
  const { leg } = held;
  const taken = catalog.legsOf(leg.diskId).some((other) => other.leg === leg.leg);
  const diskId = taken ? held.id : leg.diskId;
  const changes: Change[] = [];
  const disk = catalog.disks.get(diskId) ?? adoptedDisk(diskId, { held, wallMs });
  if (disk.adopted === 1) {
    const sizeBytes = disk.sizeBytes + held.sizeBytes;
    changes.push({ table: "disks", put: { ...disk, sizeBytes } });
  }
  changes.push({
    table: "volumes",
    put: {
      id: held.id,
      diskId,
      unitId,
      leg: leg.leg,
      sizeBytes: held.sizeBytes,
      publishedBytes: held.sizeBytes,
      created: 1,
      number: held.number,
      startLba: held.startLba,
    },
  });
  if (held.grant !== null) changes.push(adoptedGrant(held, held.grant));
  return changes;
}

function adoptedDisk(
  id: string,
  found: { readonly held: VolumeInfo; readonly wallMs: number },
): DiskRow {
  const { held, wallMs } = found;
  const { leg } = held;
  return {
    id,
    name: id === leg.diskId ? leg.diskName : `adopted-${id.slice(0, 8)}`,
    hostId: leg.ownerId,
    layout: leg.layout,
    sizeBytes: 0,
    version: 0,
    deliveredVersion: 0,
    state: "ready",
    access: held.grant?.direct === undefined ? "agent" : "direct",
    adopted: 1,
    createdMs: wallMs,
  };
}

function adoptedGrant(held: VolumeInfo, grant: NonNullable<VolumeInfo["grant"]>): Change {
  const { direct } = grant;
  return {
    table: "grants",
    put: {
      volumeId: held.id,
      epoch: grant.generation.epoch,
      counter: grant.generation.counter,
      state: grant.state === "active" ? "active" : "revoked",
      grantedBytes: held.sizeBytes,
      tokenHash: direct?.tokenHash ?? null,
      addressesJson: direct === undefined ? null : JSON.stringify(direct.addresses),
    },
  };
}
