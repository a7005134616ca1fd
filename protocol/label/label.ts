import { z } from "zod";
import {
  Bytes,
  Count,
  DirectAccess,
  Generation,
  LegInfo,
  NodeId,
  PublicKey,
  Uuid,
} from "../config/bodies.ts";
import { compareGenerations } from "../config/bodies.ts";
import { Openings } from "../config/openings.ts";
import {
  EXTENTS_PER_VOLUME_MAX,
  MEDIUM_SIZE_BYTES_MAX,
  MEDIUM_SIZE_BYTES_MIN,
  REPLACED_PARTS_MAX,
  VOLUMES_PER_UNIT_MAX,
} from "../core/limits.ts";

/**
 * What a medium's label says (control.md §3). Positions and lengths of extents and zeroed ranges
 * are counted in steps of EXTENT_STEP_BYTES, from the start of the medium.
 */

const Step = z.number().int().min(0).max(MEDIUM_SIZE_BYTES_MAX / 2 ** 20);
const Steps = Step.min(1);

/** A run of one of the record's media: [index into `media`, first step, steps]. */
export const ExtentRecord = z.tuple([
  z.number().int().min(0).max(EXTENTS_PER_VOLUME_MAX - 1),
  Step,
  Steps,
]);

export const GrantRecord = z.strictObject({
  generation: Generation,
  hostId: NodeId,
  hostKey: PublicKey,
  state: z.enum(["active", "fenced"]),
  /**
   * The volume's size when this was granted: what may be served while a grown part is zeroed. No
   * later grant covers less, so it is the most that a host may ever have written.
   */
  sizeBytes: Bytes,
  direct: DirectAccess.optional(),
});
export type GrantRecord = z.infer<typeof GrantRecord>;

/**
 * A volume, the same on every medium that it has extents on. `sequence` rises by one with every
 * writing of the record; between media it says which record is the newer.
 */
export const VolumeRecord = z.strictObject({
  id: Uuid,
  number: Count,
  sequence: Count.min(1),
  /** For hosts: without the header. */
  sizeBytes: Bytes,
  media: z.array(Uuid).min(1).max(EXTENTS_PER_VOLUME_MAX),
  /** In volume order; the header is the start of the first one. */
  extents: z.array(ExtentRecord).min(1).max(EXTENTS_PER_VOLUME_MAX),
  leg: LegInfo,
  grant: GrantRecord.nullable(),
  /** No generation up to this one is ever granted again. */
  fencedThrough: Generation.nullable(),
  /** The volume is being deleted; on opening, the deletion goes on. */
  deleting: z.boolean(),
});
export type VolumeRecord = z.infer<typeof VolumeRecord>;

export const Label = z.strictObject({
  /** Rises by one with every writing of this medium's label. */
  sequence: Count.min(1),
  mediumId: Uuid,
  unitId: NodeId,
  /** Empty until the unit's first join. */
  clusterId: z.string().max(64),
  /** The unit's name when it was labelled, for people. */
  name: z.string().max(64),
  /** Of the medium; copy B is at its end. */
  sizeBytes: z.number().int().min(MEDIUM_SIZE_BYTES_MIN).max(MEDIUM_SIZE_BYTES_MAX),
  /** How often the unit opened it. */
  opens: Count,
  /** The last times, newest first; left out before the first. */
  openings: Openings.optional(),
  /** Highest station epoch accepted, and the instance it was accepted from. */
  epoch: Count,
  instance: z.string().max(64),
  /** The next new volume's number, on this unit. */
  nextNumber: Count,
  volumes: z.array(VolumeRecord).max(VOLUMES_PER_UNIT_MAX),
  /**
   * Ranges [first step, steps] that were proven zero and since then were given to at most one
   * volume, the one that holds them now. Sorted, apart. All else is unknown.
   */
  zeroed: z.array(z.tuple([Step, Steps])),
  /** Whom the unit took it over from, for an operator, and the label's sequence there. */
  takenOver: z.strictObject({ unitId: NodeId, sequence: Count }).optional(),
  /**
   * Of volumes that have a part here: other media of theirs that an older copy was adopted in place
   * of, and what the label's sequence was there when it was used last.
   */
  replaced: z.array(z.strictObject({ volumeId: Uuid, mediumId: Uuid, sequence: Count }))
    .max(REPLACED_PARTS_MAX).optional(),
});
export type Label = z.infer<typeof Label>;

/** Why a label that has the right shape cannot be right, or null. */
export function invalidLabel(label: Label): string | null {
  const lastStep = Math.floor(label.sizeBytes / 2 ** 20) - 1;
  let end = 1;
  for (const [start, length] of label.zeroed) {
    if (start < end || start + length > lastStep) return "a zeroed range is out of place";
    end = start + length + 1;
  }
  const taken: [number, number][] = [];
  const ids = new Set<string>();
  const numbers = new Set<number>();
  for (const volume of label.volumes) {
    if (ids.has(volume.id)) return `volume ${volume.id} is there twice`;
    if (numbers.has(volume.number)) return `volume number ${volume.number} is there twice`;
    ids.add(volume.id);
    numbers.add(volume.number);
    const reason = invalidRecord(volume, label);
    if (reason !== null) return `volume ${volume.id}: ${reason}`;
    for (const [index, start, length] of volume.extents) {
      if (volume.media[index] === label.mediumId) taken.push([start, start + length]);
    }
  }
  taken.sort((a, b) => a[0] - b[0]);
  let takenTo = 1;
  for (const [start, stop] of taken) {
    if (start < takenTo) return "two extents overlap, or one reaches into the label";
    takenTo = stop;
  }
  return takenTo > lastStep ? "an extent reaches past the end" : null;
}

function invalidRecord(volume: VolumeRecord, label: Label): string | null {
  if (new Set(volume.media).size !== volume.media.length) return "a medium is named twice";
  if (!volume.media.includes(label.mediumId)) return "it has no extent on this medium";
  if (volume.number >= label.nextNumber) return "its number was never given out";
  const used = new Set<number>();
  let steps = 0;
  for (const [index, , length] of volume.extents) {
    if (index >= volume.media.length) return "an extent names no medium";
    used.add(index);
    steps += length;
  }
  if (used.size !== volume.media.length) return "it names a medium that it does not use";
  if (volume.sizeBytes < 1 || volume.sizeBytes > (steps - 1) * 2 ** 20) {
    return "its extents do not hold its size";
  }
  const { grant, fencedThrough } = volume;
  if (grant === null) return null;
  if (grant.sizeBytes > volume.sizeBytes) return "more is granted than it has";
  const fenced = fencedThrough !== null && compareGenerations(grant.generation, fencedThrough) <= 0;
  if (fenced !== (grant.state === "fenced")) return "its grant and its fence disagree";
  return null;
}
