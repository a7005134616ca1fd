import type { CheckedTable } from "./row_schemas.ts";
import type { DiskRow, GrantRow, Tables, VolumeRow } from "./rows.ts";

export interface Dangling {
  readonly table: CheckedTable;
  readonly key: string;
  readonly reason: string;
}

/**
 * Records that mean nothing without another one that is not there. Dropping them loses nothing:
 * their units hold the volumes, which are adopted from the labels. Pure.
 */
export function danglingRows(
  rows: ReadonlyMap<CheckedTable, readonly Tables[CheckedTable][]>,
): Dangling[] {
  const of = <T>(table: CheckedTable) => (rows.get(table) ?? []) as unknown as readonly T[];
  const disks = new Set(of<DiskRow>("disks").map((disk) => disk.id));
  const dangling: Dangling[] = [];
  const volumes = new Set<string>();
  for (const { id, diskId } of of<VolumeRow>("volumes")) {
    if (disks.has(diskId)) volumes.add(id);
    else dangling.push({ table: "volumes", key: id, reason: `its disk ${diskId} is not there` });
  }
  for (const { volumeId } of of<GrantRow>("grants")) {
    if (volumes.has(volumeId)) continue;
    dangling.push({ table: "grants", key: volumeId, reason: "its volume is not there" });
  }
  return dangling;
}
