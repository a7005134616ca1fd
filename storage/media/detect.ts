import { isZero } from "../../protocol/label/judge.ts";
import { BLANK_SAMPLES, KIB, MIB } from "../../protocol/core/limits.ts";
import type { MediumFile } from "./medium_file.ts";
import { findSignatures, type Probe } from "./signatures.ts";

/** Read whole at each end of a device that is to become a medium. */
const END_BYTES = 2 * MIB;
const SAMPLE_BYTES = 4 * KIB;

interface Area {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/**
 * What a device holds, in words for a refusal, or null when every probed area is zero.
 * `ignoreUpTo`: the remains of our own interrupted first labelling, which do not count.
 */
export async function findContent(file: MediumFile, ignoreUpTo = 0): Promise<string | null> {
  const areas: Area[] = [];
  for (const [start, length] of probedAreas(file.sizeBytes)) {
    areas.push({ start, bytes: await file.read(start, length) });
  }
  if (ignoreUpTo > 0) areas[0]!.bytes.fill(0, 0, ignoreUpTo);
  const found = findSignatures(probeOf(areas, file.sizeBytes));
  if (found.length > 0) return found.join(" and ");
  for (const { start, bytes } of areas) {
    if (isZero(bytes)) continue;
    const at = start + bytes.findIndex((byte) => byte !== 0);
    return `data of an unknown kind (first seen at byte ${at})`;
  }
  return null;
}

/** Makes every probed area zero, durably. */
export async function wipe(file: MediumFile): Promise<void> {
  for (const [start, length] of probedAreas(file.sizeBytes)) await file.zero(start, length);
  await file.sync();
}

function probedAreas(sizeBytes: number): [start: number, length: number][] {
  const tail = sizeBytes - END_BYTES;
  const areas: [number, number][] = [[0, END_BYTES]];
  for (let i = 1; i <= BLANK_SAMPLES; i++) {
    const spot = END_BYTES + Math.floor((tail - END_BYTES) / (BLANK_SAMPLES + 1) / 4096) * 4096 * i;
    if (spot + SAMPLE_BYTES <= tail) areas.push([spot, SAMPLE_BYTES]);
  }
  const btrfsMirror = 64 * MIB;
  if (btrfsMirror + SAMPLE_BYTES <= tail) areas.push([btrfsMirror, SAMPLE_BYTES]);
  areas.push([tail, END_BYTES]);
  return areas;
}

function probeOf(areas: readonly Area[], sizeBytes: number): Probe {
  return {
    sizeBytes,
    at(position, length) {
      for (const { start, bytes } of areas) {
        const from = position - start;
        if (from >= 0 && from + length <= bytes.length) return bytes.subarray(from, from + length);
      }
      return null;
    },
  };
}
