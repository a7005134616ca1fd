import { isDeepStrictEqual } from "node:util";
import type { Label, VolumeRecord } from "../../protocol/label/label.ts";
import { compareGenerations } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { VOLUMES_PER_UNIT_MAX } from "../../protocol/core/limits.ts";
import { hasPast } from "./accept_medium.ts";
import { takenBy } from "./medium.ts";
import { nextNumberOf } from "./numbers.ts";
import { intersect } from "./ranges.ts";
import { type Aside, heldBeside } from "./replaced.ts";
import type { UnitStoreOptions } from "./store_types.ts";

/**
 * Added to the sequence of every record that comes with an adopted medium; of an older copy so many
 * times that no two have the same. Records on other media never are one step behind it then: a
 * volume that shares media with an old copy is found to be broken, and not taken for one whose
 * update a crash cut, or whose media were taken over one after the other.
 */
export const ADOPTED_SEQUENCE_STEP = 2 ** 20;

export interface AdoptionOptions {
  readonly unit: Pick<
    UnitStoreOptions,
    "unitId" | "unitName" | "clusterId" | "knownSequences" | "numbersFrom" | "adopting"
  >;
  /** Of the media that this unit serves. */
  readonly others: readonly Label[];
  /** It is this unit's own and not older than it remembers: only its copies are written anew. */
  readonly isOurs: boolean;
}

/**
 * The label of a medium that an operator has this unit take over. Nobody may use what it holds on a
 * grant of before, since a fence may have been forgotten with the label: all are fenced.
 */
export function adoptedLabel(label: Label, { unit, others, isOurs }: AdoptionOptions): Label {
  const known = unit.knownSequences[label.mediumId] ?? 0;
  const { adopting } = unit;
  const sequence = Math.max(label.sequence, known, adopting?.past?.sequence ?? 0) + 1;
  // What an operator puts in a medium's place is what has come of it, for the station, too.
  const past = adopting?.past !== undefined && !hasPast(label, adopting)
    ? { openings: adopting.past.openings }
    : {};
  if (isOurs) return { ...label, ...past, sequence };
  const isOlder = asideOf(label, { unit, isOurs }) !== null;
  let nextNumber = nextNumberOf(others, unit.numbersFrom ?? 1);
  const volumes = label.volumes.map((record) => {
    const moved = known === 0
      ? movedBefore(record, others)
      : isBack(label, { unit, known })
      ? broughtBack(record, others)
      : putBack(record, { label, others });
    if (moved !== null) return moved;
    const number = nextNumber++;
    const steps = isOlder ? 1 + number : 1;
    return steppedRecord(record, { number, steps });
  });
  const free = intersect(label.zeroed, takenBy(label));
  return {
    ...label,
    ...past,
    sequence,
    unitId: unit.unitId,
    clusterId: unit.clusterId ?? "",
    name: unit.unitName ?? "",
    // The unit's own are written at the opening that follows.
    epoch: 0,
    instance: "",
    nextNumber: Math.max(nextNumber, ...volumes.map((volume) => volume.number + 1)),
    volumes,
    // What is free may have been anybody's since this copy was made.
    zeroed: free.map(([start, length]) => [start, length]),
    takenOver: { unitId: label.unitId, sequence: label.sequence },
  };
}

/**
 * A unit with more volumes could not tell of any: no station would hear of what it holds.
 * DvsanError "limit".
 */
export function refuseTooMany(labels: readonly Label[]): void {
  const count = new Set(labels.flatMap(({ volumes }) => volumes.map(({ id }) => id))).size;
  if (count <= VOLUMES_PER_UNIT_MAX) return;
  throw new DvsanError(
    "limit",
    `this unit would hold ${count} volumes with it, and can have at most ` +
      `${VOLUMES_PER_UNIT_MAX}. Adopt it on another one`,
  );
}

/** What this unit had in its place, when this may be an older copy of that. */
export function asideOf(
  label: Label,
  { unit, isOurs }: Pick<AdoptionOptions, "unit" | "isOurs">,
): Aside | null {
  const { mediumId } = label;
  const known = unit.knownSequences[mediumId] ?? 0;
  if (isOurs || known === 0 || isBack(label, { unit, known })) return null;
  return { mediumId, sequence: known };
}

/**
 * Whether it is as this unit last wrote it, but for who took it over. A copy of one that this unit
 * has had is older than what the others hold, though its sequence may have risen elsewhere since.
 */
function isBack(
  { takenOver }: Label,
  { unit, known }: { readonly unit: AdoptionOptions["unit"]; readonly known: number },
): boolean {
  return takenOver?.unitId === unit.unitId && takenOver.sequence >= known;
}

/**
 * The record as it came with another medium of the same volume: all have to tell the same. Another
 * making of the volume, on other media, may have the same sequence.
 */
function movedBefore(record: VolumeRecord, others: readonly Label[]): VolumeRecord | null {
  for (const other of others) {
    for (const held of other.volumes) {
      if (held.id !== record.id) continue;
      if (held.sequence !== record.sequence + ADOPTED_SEQUENCE_STEP) continue;
      if (isSamePlace(held, record)) return held;
    }
  }
  return null;
}

function isSamePlace(one: VolumeRecord, other: VolumeRecord): boolean {
  return isDeepStrictEqual(one.extents, other.extents) && isDeepStrictEqual(one.media, other.media);
}

/**
 * The record of a volume that another unit took over a part of, which comes back: nobody could
 * change it there or here while it was apart. It is one step ahead of the media that stayed, as if
 * a fence had been cut between them, so that opening brings them to it.
 */
function broughtBack(record: VolumeRecord, others: readonly Label[]): VolumeRecord | null {
  for (const other of others) {
    for (const held of other.volumes) {
      if (held.id !== record.id) continue;
      if (record.sequence !== held.sequence + ADOPTED_SEQUENCE_STEP) continue;
      if (isSamePlace(held, record)) return joinedRecord(held);
    }
  }
  return null;
}

/** The record of a volume that was broken while an older copy was in place of this medium. */
function putBack(
  record: VolumeRecord,
  beside: { readonly label: Label; readonly others: readonly Label[] },
): VolumeRecord | null {
  const held = heldBeside(record, beside);
  return held === null ? null : joinedRecord(held);
}

/** One step ahead of the media that hold it as it was. */
function joinedRecord(held: VolumeRecord): VolumeRecord {
  return fencedRecord(held, { number: held.number, sequence: held.sequence + 1 });
}

function steppedRecord(
  record: VolumeRecord,
  { number, steps }: { readonly number: number; readonly steps: number },
): VolumeRecord {
  const sequence = record.sequence + steps * ADOPTED_SEQUENCE_STEP;
  return fencedRecord(record, { number, sequence });
}

/** The record with its grant fenced, durably as a fence of a station is. */
export function fencedRecord(
  record: VolumeRecord,
  { number, sequence }: Pick<VolumeRecord, "number" | "sequence">,
): VolumeRecord {
  const { grant, fencedThrough } = record;
  if (grant === null) return { ...record, number, sequence };
  const isFenced = fencedThrough !== null &&
    compareGenerations(fencedThrough, grant.generation) >= 0;
  return {
    ...record,
    number,
    sequence,
    grant: { ...grant, state: "fenced" },
    fencedThrough: isFenced ? fencedThrough : grant.generation,
  };
}
