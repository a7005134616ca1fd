import type { HeldDisk } from "../../protocol/config/heartbeat_bodies.ts";
import { MAP_VERSION_LEARNED_MAX } from "../../protocol/core/limits.ts";
import type { Change } from "./catalog/catalog.ts";
import type { DiskRow } from "./catalog/rows.ts";
import type { Pool } from "./pool.ts";

/**
 * A host holds newer maps of its disks than this catalog ever gave: an older one was restored, or
 * it was rebuilt from labels. Whatever the host were told under a lower version it would refuse as
 * old; so the catalog goes above it, and a disk that is in use is told anew once all its legs were
 * seen. This takes nothing away and is no reason for the recovered state: what a host says must not
 * keep an operator from fencing it.
 */
export async function learnMaps(
  pool: Pool,
  hostId: string,
  held: readonly Pick<HeldDisk, "diskId" | "version">[],
): Promise<void> {
  if (pool.standing.state === "superseded") return;
  const changes: Change[] = [];
  for (const { diskId, version } of held) {
    const disk = pool.catalog.disks.get(diskId);
    if (disk === undefined || disk.hostId !== hostId) continue;
    // One that was found on labels was never told: its host answers the first telling.
    if (disk.version === 0 || version <= disk.version) continue;
    if (version > MAP_VERSION_LEARNED_MAX) continue;
    changes.push({ table: "disks", put: above(disk, version) });
    if (disk.adopted === 0) tell(pool, disk, version);
  }
  if (changes.length > 0) await pool.catalog.commit(changes);
}

function above(disk: DiskRow, version: number): DiskRow {
  const isGoing = disk.state === "releasing" || disk.state === "released";
  if (isGoing) return { ...disk, version: version + 1 };
  return { ...disk, version, deliveredVersion: version, adopted: 1 };
}

function tell({ catalog, events }: Pool, disk: DiskRow, version: number): void {
  const host = catalog.nodes.get(disk.hostId)?.name ?? disk.hostId;
  const text = `Host "${host}" holds map version ${version} of disk "${disk.name}", newer than ` +
    `${disk.version}, the last one of this catalog: it is told anew, above that.`;
  events.say({ kind: "disk.behind", severity: "warn", subject: disk.name, text });
}
