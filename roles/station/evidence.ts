import { isDeepStrictEqual } from "node:util";
import {
  compareGenerations,
  type Generation,
  type GrantInfo,
  type StorageInfo,
  type VolumeInfo,
} from "../../protocol/config/bodies.ts";
import { isBelieved } from "./believable.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { GrantRow } from "./catalog/rows.ts";
import { formatGeneration } from "./words.ts";

const NONE: Generation = { epoch: 0, counter: 0 };

export interface EvidenceOptions {
  readonly catalog: Catalog;
  /** This station's. */
  readonly epoch: number;
  /** For people. */
  readonly unit: string;
  /** Media that an operator has this unit adopt now: what they hold is not known here, rightly. */
  readonly adopting: ReadonlySet<string>;
  /** The grant that the unit which the catalog names told of last; null when it is this one. */
  readonly grantAtHome: (volumeId: string) => Generation | null;
}

/**
 * Why a unit's holdings show that the catalog is behind them, in words, or null. Units learn of
 * volumes and generations from the station alone, and only after the catalog had them durably: so
 * one that the catalog does not know was given by a catalog that is lost.
 */
export function behindWords(info: StorageInfo, options: EvidenceOptions): string | null {
  for (const held of info.volumes) {
    const words = volumeWords(held, options);
    if (words !== null) return `Unit "${options.unit}" ${words}`;
  }
  return null;
}

function volumeWords(held: VolumeInfo, options: EvidenceOptions): string | null {
  const { catalog, adopting } = options;
  const what = `volume ${held.number} (disk "${held.leg.diskName}", leg ${held.leg.leg})`;
  const tombstone = catalog.tombstones.get(held.id);
  const grant = catalog.grants.get(held.id);
  const buried = tombstone && { epoch: tombstone.knownEpoch, counter: tombstone.knownCounter };
  const inCatalog = buried ?? grant ?? NONE;
  // A copy shows nothing that its original does not: it would be held against the catalog for ever,
  // since only what the original holds is learned.
  const atHome = options.grantAtHome(held.id) ?? NONE;
  const known = compareGenerations(atHome, inCatalog) > 0 ? atHome : inCatalog;
  if (tombstone === undefined && !catalog.volumes.has(held.id)) {
    if (held.media.some((id) => adopting.has(id))) return null;
    return `holds ${what}, of which this catalog knows nothing.`;
  }
  const generation = held.grant?.generation ?? NONE;
  const fence = held.grant?.fencedThrough;
  const isLater = fence !== undefined && fence.epoch > options.epoch;
  if (isLater && isBelieved(fence.epoch, options.epoch)) {
    return `holds ${what} fenced through ${formatGeneration(fence)}, by a station of a later ` +
      `epoch than this one's, ${options.epoch}.`;
  }
  if (fence !== undefined && grant?.state === "active" && compareGenerations(fence, grant) > 0) {
    // A revocation that the catalog forgot; once, as the disk is marked until it is granted anew.
    const disk = catalog.disks.get(catalog.volumes.get(held.id)?.diskId ?? "");
    if (disk?.adopted === 0) {
      return `holds ${what} fenced through ${formatGeneration(fence)}, which is newer than ` +
        `${formatGeneration(grant)}, the last grant of this catalog.`;
    }
  }
  if (held.grant !== null && grant !== undefined && isAnothers(held.grant, grant)) {
    return `holds ${what} under another grant ${formatGeneration(generation)} than this catalog's.`;
  }
  if (compareGenerations(generation, known) <= 0) return null;
  if (known === NONE) {
    return `holds ${what} under grant ${formatGeneration(generation)}, and this catalog has none.`;
  }
  return `holds ${what} under grant ${formatGeneration(generation)}, which is newer than ` +
    `${formatGeneration(known)}, the last one of this catalog.`;
}

/** A grant on a label that the catalog is to learn: it is newer, or another station's. */
export function isUnknown(held: GrantInfo, row: GrantRow | null): boolean {
  return row === null || compareGenerations(held.generation, row) > 0 || isAnothers(held, row);
}

/**
 * Another station gave the same generation to others: two of them ran under one epoch, each on its
 * copy of the catalog. A unit takes a generation once, so that the label's is the one that is left.
 */
function isAnothers({ generation, direct }: GrantInfo, row: GrantRow): boolean {
  if (compareGenerations(generation, row) !== 0 || row.state !== "active") return false;
  const addresses = row.addressesJson === null ? undefined : JSON.parse(row.addressesJson);
  return !isDeepStrictEqual(direct?.tokenHash, row.tokenHash ?? undefined) ||
    !isDeepStrictEqual(direct?.addresses, addresses);
}

/** The highest epoch that a unit shows, by what it obeyed or by a grant or fence that it holds. */
export function highestEpoch(info: StorageInfo, own: number): number {
  const told = [info.epoch, ...info.volumes.map(epochOf)];
  return Math.max(0, ...told.filter((epoch) => isBelieved(epoch, own)));
}

/** New generations of the volume have to be above it. */
function epochOf({ grant }: VolumeInfo): number {
  return Math.max(grant?.generation.epoch ?? 0, grant?.fencedThrough?.epoch ?? 0);
}

/**
 * The unit fenced the very grant that the catalog has last, with the medium that it adopted; or
 * another station had it fenced through a later one, and no generation is granted behind a fence.
 */
export function isFencedOff({ grant }: VolumeInfo, row: GrantRow | null): boolean {
  if (grant?.state !== "fenced" || row === null) return false;
  if (compareGenerations(grant.generation, row) === 0) return true;
  const { fencedThrough } = grant;
  if (row.state !== "active" || fencedThrough === undefined) return false;
  return compareGenerations(fencedThrough, row) >= 0;
}

/**
 * The highest epoch of the grants on media under adoption that this catalog knows nothing of. New
 * generations have to be above them, or their units would refuse them as fenced.
 */
export function strangeEpoch(
  info: StorageInfo,
  { catalog, adopting, epoch: own }: Pick<EvidenceOptions, "catalog" | "adopting" | "epoch">,
): number {
  const strange = info.volumes.filter((held) =>
    !catalog.volumes.has(held.id) && held.media.some((id) => adopting.has(id))
  );
  return Math.max(0, ...strange.map(epochOf).filter((epoch) => isBelieved(epoch, own)));
}

/** Why this station gives way to one that a unit obeys after it obeyed this one. */
export function supersededWords(unit: string, info: StorageInfo): string {
  return `Unit "${unit}" obeys another station with the same key (epoch ${info.epoch}): it was ` +
    "started later than this one, a cloned machine or a restored backup. This station changes " +
    "nothing any more. Stop one of the two; to go on with this one, stop the other and restart it.";
}
