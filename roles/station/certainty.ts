import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { DiskRow, VolumeRow } from "./catalog/rows.ts";
import type { NewerMaps } from "./newer_maps.ts";
import type { Observed } from "./observed.ts";
import { rivalWords } from "./rival_legs.ts";

export interface CertaintyParts {
  readonly catalog: Catalog;
  readonly observed: Observed;
  readonly newerMaps: Pick<NewerMaps, "otherLegs" | "uses">;
}

/**
 * Why the owner and the legs of a disk are not certain, in words, or null. A disk that was rebuilt
 * from labels, or that an older catalog told of, is certain once every leg was seen in this run,
 * all labels tell the same, and its host is not known to have another one. Until then nobody is
 * told its map: one with a leg too few would put what follows at other offsets.
 */
export function uncertainty(parts: CertaintyParts, disk: DiskRow): string | null {
  if (disk.adopted === 0) return null;
  const legs = parts.catalog.legsOf(disk.id).filter((leg) => leg.created === 1);
  if (legs.length === 0) return disk.state === "creating" ? null : "none of its legs was seen yet";
  let expected = 0;
  for (const leg of legs) {
    const held = seen(parts, leg);
    if (typeof held === "string") return held;
    if (held.leg.ownerId !== disk.hostId) {
      return `leg ${leg.leg} is labelled for another host, "${held.leg.ownerName}"`;
    }
    if (leg.diskId === held.leg.diskId) expected = Math.max(expected, held.leg.legs);
  }
  const missing = missingLeg(legs, expected);
  if (missing !== null) return `leg ${missing} of ${expected} was not seen yet`;
  return parts.newerMaps.otherLegs(disk) ?? rivalWords(parts, disk);
}

/** DvsanError "busy" unless the disk is certain. */
export function requireCertain(
  parts: CertaintyParts,
  disk: DiskRow,
  what: string,
): void {
  const why = uncertainty(parts, disk);
  if (why === null) return;
  throw new DvsanError(
    "busy",
    `Cannot ${what} disk "${disk.name}": its owner is uncertain, because ${why}. ` +
      "Bring the units that hold it back. See: dvsan ctl differences.",
  );
}

function seen({ catalog, observed }: CertaintyParts, leg: VolumeRow): VolumeInfo | string {
  const unit = `unit "${catalog.nodes.get(leg.unitId)?.name ?? leg.unitId}"`;
  const info = observed.fresh(leg.unitId);
  if (info === null) return `${unit}, which holds leg ${leg.leg}, did not tell what it holds yet`;
  const held = info.volumes.find((volume) => volume.id === leg.id);
  return held ?? `${unit} does not hold leg ${leg.leg} now`;
}

/** The first number without a leg; an adopted disk of its own may have one leg of any number. */
function missingLeg(legs: readonly VolumeRow[], expected: number): number | null {
  const numbers = new Set(legs.map((leg) => leg.leg));
  for (let leg = 0; leg < expected; leg++) if (!numbers.has(leg)) return leg;
  return null;
}
