import { EXTENT_STEP_BYTES, VOLUME_HEADER_BYTES } from "../../protocol/core/limits.ts";
import type { VolumeRecord } from "../../protocol/label/label.ts";

type Places = Pick<VolumeRecord, "media" | "extents">;

/** Steps that a volume of this size takes, with its header. */
export function stepsFor(sizeBytes: number): number {
  return Math.ceil((sizeBytes + VOLUME_HEADER_BYTES) / EXTENT_STEP_BYTES);
}

/** The first extents of the record, and the media that those are on. */
export function firstSteps(record: Places, steps: number): Places {
  const media: string[] = [];
  const extents: [number, number, number][] = [];
  let left = steps;
  for (const [index, start, length] of record.extents) {
    if (left === 0) break;
    const mediumId = record.media[index]!;
    if (!media.includes(mediumId)) media.push(mediumId);
    extents.push([media.indexOf(mediumId), start, Math.min(length, left)]);
    left -= Math.min(length, left);
  }
  return { media, extents };
}

/**
 * Media with space that a grant covers: no grant covers less than the one before it, so no other
 * ever held data. Of a record that was fenced and does not tell what was granted, all.
 */
export function grantedMedia(record: VolumeRecord): readonly string[] {
  const { grant, fencedThrough, media } = record;
  if (grant === null) return fencedThrough === null ? [] : media;
  return firstSteps(record, stepsFor(grant.sizeBytes)).media;
}

/**
 * The record without what lies on these media and behind that; null when a grant covered any of it,
 * or nobody was granted anything of the volume yet.
 */
export function withoutEnd(record: VolumeRecord, lost: readonly string[]): VolumeRecord | null {
  const granted = grantedMedia(record);
  if (record.grant === null || record.deleting || granted.some((id) => lost.includes(id))) {
    return null;
  }
  const at = record.extents.findIndex(([index]) => lost.includes(record.media[index]!));
  if (at < 0) return null;
  const steps = record.extents.slice(0, at).reduce((sum, [, , length]) => sum + length, 0);
  return {
    ...record,
    ...firstSteps(record, steps),
    sequence: record.sequence + 1,
    sizeBytes: Math.min(record.sizeBytes, steps * EXTENT_STEP_BYTES - VOLUME_HEADER_BYTES),
  };
}
