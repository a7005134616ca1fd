import type { CheckedTable } from "./row_schemas.ts";
import { type DiskRow, type GrantRow, keyOf, type Tables, type VolumeRow } from "./rows.ts";
import type { TableShapes } from "./schema.ts";

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

/**
 * Records that have what another one before them has, and must not: a table takes one of them only.
 * So it is where pages of two moments lie in one file. Pure.
 */
export function clashingRows(
  rows: ReadonlyMap<CheckedTable, readonly Tables[CheckedTable][]>,
  shapes: TableShapes,
): Dangling[] {
  const unlike = [...rows].flatMap(([table, each]) =>
    (shapes.get(table)?.unlike ?? []).map((columns) => ({ table, each, columns }))
  );
  return unlike.flatMap(({ table, each, columns }) => {
    const keys = new Map<string, string>();
    return each.flatMap((one) => {
      const row = one as unknown as Record<string, unknown>;
      const key = keyOf(table, one);
      const value = JSON.stringify(columns.map((column) => row[column]));
      const other = keys.get(value);
      if (other !== undefined) {
        return [{ table, key, reason: `it has the ${columns.join(" and ")} of ${other}, too` }];
      }
      keys.set(value, key);
      return [];
    });
  });
}
