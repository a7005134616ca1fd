import type { LegAssignment } from "../../../protocol/config/bodies.ts";
import { EXTENT_STEP_BYTES, VOLUME_HEADER_BYTES } from "../../../protocol/core/limits.ts";
import type { VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import { copiesSeen } from "../checkers/label_copies.ts";

/** The bytes of a linear disk, but its first, at which one of its legs or extents begins. */
export function bordersOf(
  legs: readonly Pick<LegAssignment, "leg" | "volumeId" | "sizeBytes">[],
  media: Iterable<SimMedium>,
): number[] {
  const records = recordsOn(media);
  const borders: number[] = [];
  let beginBytes = 0;
  for (const { volumeId, sizeBytes } of [...legs].sort((a, b) => a.leg - b.leg)) {
    borders.push(beginBytes);
    let at = beginBytes - VOLUME_HEADER_BYTES;
    for (const [, , steps] of records.get(volumeId)?.extents ?? []) {
      at += steps * EXTENT_STEP_BYTES;
      if (at < beginBytes + sizeBytes) borders.push(at);
    }
    beginBytes += sizeBytes;
  }
  return borders.filter((at) => at > 0);
}

/** The newest record of each volume, by its id, as far as labels can be read now. */
function recordsOn(media: Iterable<SimMedium>): Map<string, VolumeRecord> {
  const newest = new Map<string, VolumeRecord>();
  for (const medium of media) {
    for (const { label } of copiesSeen(medium)) {
      for (const record of label.volumes) {
        if ((newest.get(record.id)?.sequence ?? 0) < record.sequence) newest.set(record.id, record);
      }
    }
  }
  return newest;
}
