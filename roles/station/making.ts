import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { GrantRow, VolumeRow } from "./catalog/rows.ts";
import type { Observed } from "./observed.ts";

/** What the catalog has of a volume. */
export interface Wanted {
  readonly volume: VolumeRow;
  readonly grant: GrantRow | null;
}

const ANOTHER = "not the one that was granted: its unit made it twice, on other media, and holds " +
  "the making that nobody was granted; bring the medium with the other one back, or release the " +
  "disk";

/**
 * A label never forgets a grant, so what was granted once and is held without any grant is another
 * making of that volume: a unit was cut off in its first one, came back without that medium, and
 * was asked to make it anew. Its host has nothing in this one, and granted there, too, nobody could
 * tell the two apart any more (storage/media/resolve.ts).
 */
export function isAnotherMaking(held: VolumeInfo, { volume, grant }: Wanted): boolean {
  return held.grant === null && (volume.publishedBytes > 0 || (grant?.grantedBytes ?? 0) > 0);
}

/** As brokenWords, of what a leg's unit told last. */
export function brokenLeg(
  { catalog, observed }: { readonly catalog: Catalog; readonly observed: Observed },
  leg: VolumeRow,
): string | null {
  const held = observed.volume(leg.unitId, leg.id);
  const grant = catalog.grants.get(leg.id) ?? null;
  return held === null ? null : brokenWords(held, { volume: leg, grant });
}

/** Why nobody can be let in to what a unit holds of a volume, after "it is"; null when one can. */
export function brokenWords(held: VolumeInfo, wanted: Wanted): string | null {
  if (held.state === "failed" || held.state === "incomplete") {
    return `${held.state}: ${held.reason ?? "the unit gives no reason"}`;
  }
  return isAnotherMaking(held, wanted) ? ANOTHER : null;
}
