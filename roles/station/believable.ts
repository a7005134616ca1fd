import type { StorageInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import { DISK_SIZE_BYTES_MAX, EPOCH_TOLD_MAX, LBA_BYTES } from "../../protocol/core/limits.ts";

/**
 * Whether a station of epoch `own` goes above the one that a unit tells of. Not above one that no
 * station comes to by its starts: it is damaged or forged, and soon no epoch would be above it.
 */
export function isBelieved(told: number, own: number): boolean {
  return told <= Math.max(EPOCH_TOLD_MAX, own);
}

/**
 * What a unit tells that no unit can hold, in words, or null. Whoever took it into the catalog
 * could tell no host a map any more, since maps have whole blocks and sums that are numbers.
 */
export function whyUnbelievable(info: StorageInfo, own: number): string | null {
  if (!isBelieved(info.epoch, own)) {
    return `station epoch ${info.epoch}, which no station comes to`;
  }
  for (const volume of info.volumes) {
    const why = whyNoVolume(volume);
    if (why !== null) return `volume ${volume.id} with ${why}, which no volume has`;
  }
  return null;
}

function whyNoVolume({ sizeBytes, startLba, grant }: VolumeInfo): string | null {
  if (!isSize(sizeBytes)) return `a size of ${sizeBytes} bytes`;
  if (startLba > DISK_SIZE_BYTES_MAX) return `its start at block ${startLba}`;
  if (grant === null || (isSize(grant.sizeBytes) && grant.sizeBytes <= sizeBytes)) return null;
  return `a grant of ${grant.sizeBytes} bytes of ${sizeBytes}`;
}

function isSize(bytes: number): boolean {
  return bytes > 0 && bytes <= DISK_SIZE_BYTES_MAX && bytes % LBA_BYTES === 0;
}
