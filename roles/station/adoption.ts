import type { GrantInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
import type { DiskRow, VolumeRow } from "./catalog/rows.ts";
import { isUnknown } from "./evidence.ts";
import { ownName } from "./rival_legs.ts";

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
  const known = catalog.disks.get(diskId);
  // A released disk is kept only until its host has heard so, and what it has would go with it.
  const disk: DiskRow = known?.state === "released"
    ? { ...known, state: "ready", sizeBytes: 0 }
    : known ?? adoptedDisk(diskId, { held, wallMs });
  const sizeBytes = held.grant?.sizeBytes ?? held.sizeBytes;
  const volume: VolumeRow = {
    id: held.id,
    diskId,
    unitId,
    leg: leg.leg,
    sizeBytes,
    // What was never granted, no host was told of.
    publishedBytes: held.grant === null ? 0 : sizeBytes,
    created: 1,
    number: held.number,
    startLba: held.startLba,
  };
  return [
    {
      table: "disks",
      put: {
        ...disk,
        // A change of access that not all units took: its other legs were perhaps found before.
        ...(held.grant?.direct !== undefined && { access: "direct" as const }),
        adopted: 1,
        sizeBytes: disk.sizeBytes + sizeBytes,
      },
    },
    { table: "volumes", put: volume },
    ...(held.grant === null ? [] : [grantFromLabel(held.id, held.grant)]),
    ...(catalog.tombstones.has(held.id) ? [{ table: "tombstones", remove: held.id } as const] : []),
  ];
}

function adoptedDisk(
  id: string,
  found: { readonly held: VolumeInfo; readonly wallMs: number },
): DiskRow {
  const { held, wallMs } = found;
  const { leg } = held;
  return {
    id,
    name: id === leg.diskId ? leg.diskName : ownName(id),
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

/** What the label tells of grant, size and place goes into the record of a known volume. */
export function learning(
  catalog: Catalog,
  volumeId: string,
  { unitId, held }: { readonly unitId: string; readonly held: VolumeInfo },
): Change[] {
  const volume = catalog.volumes.get(volumeId);
  const { grant, number, startLba } = held;
  if (volume === undefined || grant === null) return [];
  const changes: Change[] = [];
  const known = catalog.grants.get(volumeId);
  let disk = catalog.disks.get(volume.diskId);
  if (isUnknown(grant, known ?? null)) {
    changes.push(grantFromLabel(volumeId, grant));
    // Whom the grant serves the map has to say too, or nobody would come in any more.
    const access = accessOf(catalog, volume, grant);
    if (disk !== undefined && disk.access !== access) {
      disk = { ...disk, access, adopted: 1 };
      changes.push({ table: "disks", put: disk });
    }
  }
  const sizeBytes = Math.max(grant.sizeBytes, volume.sizeBytes);
  const isElsewhere = volume.unitId !== unitId;
  if ((sizeBytes > volume.sizeBytes || isElsewhere) && disk !== undefined) {
    const publishedBytes = volume.publishedBytes === 0 ? 0 : sizeBytes;
    const total = disk.sizeBytes + sizeBytes - volume.sizeBytes;
    const place = isElsewhere ? { unitId, created: 1, number, startLba } as const : {};
    changes.push({ table: "volumes", put: { ...volume, ...place, sizeBytes, publishedBytes } });
    // Hosts may have been told already: the map is told anew, above every version.
    changes.push({ table: "disks", put: { ...disk, adopted: 1, sizeBytes: total } });
  }
  return changes;
}

/**
 * A leg that was adopted without a grant and that no unit holds: a creation that a failing medium
 * cut off. A disk without any leg left goes with it; nobody was told of it.
 */
export function forgetting(catalog: Catalog, { id, diskId, sizeBytes }: VolumeRow): Change[] {
  const disk = catalog.disks.get(diskId);
  const changes: Change[] = [{ table: "volumes", remove: id }];
  if (disk === undefined) return changes;
  const isLast = catalog.legsOf(diskId).every((leg) => leg.id === id);
  const put: DiskRow = { ...disk, sizeBytes: Math.max(0, disk.sizeBytes - sizeBytes) };
  changes.push(isLast ? { table: "disks", remove: diskId } : { table: "disks", put });
  return changes;
}

/** A disk of which one leg is used without the agent is not the agent's. */
function accessOf(catalog: Catalog, volume: VolumeRow, grant: GrantInfo): DiskRow["access"] {
  const isDirect = grant.direct !== undefined ||
    catalog.otherDirectLegs(volume.diskId, [volume]).length > 0;
  return isDirect ? "direct" : "agent";
}

function grantFromLabel(volumeId: string, grant: GrantInfo): Change {
  const { direct, generation } = grant;
  return {
    table: "grants",
    put: {
      volumeId,
      epoch: generation.epoch,
      counter: generation.counter,
      state: grant.state === "active" ? "active" : "revoked",
      grantedBytes: grant.sizeBytes,
      tokenHash: direct?.tokenHash ?? null,
      addressesJson: direct === undefined ? null : JSON.stringify(direct.addresses),
    },
  };
}
