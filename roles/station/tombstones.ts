import type { Change } from "./catalog/catalog.ts";
import type { TombstoneRow } from "./catalog/rows.ts";

/**
 * Forgets the oldest tombstones that are done beyond `keptMax`. A volume that still comes back
 * after that (with a medium that was away) is adopted and not deleted: nothing is lost by
 * forgetting. One that is not done is never forgotten, or what is to be deleted would stay.
 */
export function oldTombstones(
  tombstones: ReadonlyMap<string, TombstoneRow>,
  keptMax: number,
): Change[] {
  if (tombstones.size <= keptMax) return [];
  const done = [...tombstones.values()].filter((each) => each.done === 1)
    .sort((a, b) => a.createdMs - b.createdMs);
  const surplus = done.slice(0, Math.max(0, done.length - keptMax));
  return surplus.map(({ volumeId }) => ({ table: "tombstones", remove: volumeId }));
}
