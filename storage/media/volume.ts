import {
  asText,
  compareGenerations,
  type Generation,
  type GrantInfo,
  type VolumeInfo,
} from "../../protocol/config/bodies.ts";
import { assert } from "../../protocol/core/assert.ts";
import { EXTENT_STEP_BYTES, LBA_BYTES, VOLUME_HEADER_BYTES } from "../../protocol/core/limits.ts";
import type { VolumeRecord } from "../../protocol/label/label.ts";
import type { Medium } from "./medium.ts";
import { intersect, normalise, totalOf } from "./ranges.ts";
import { runsOn } from "./resolve.ts";
import type { DataExtent, ServedVolume } from "./store_types.ts";

/** A volume of this unit: its record, and what is under way with it. */
export class Volume {
  record: VolumeRecord;
  /**
   * From opening: why it is not served; null for a whole one. `isFinal`: it is never served again
   * without an operator who adopts a medium, which fences it (fence_returned.ts, adopt_label.ts);
   * so it can be deleted as it is.
   */
  broken: {
    readonly state: "incomplete" | "failed";
    readonly reason: string;
    readonly isFinal?: boolean;
  } | null;
  /** A fence that was begun and is not yet on the labels. */
  fencing: { through: Generation; sinceMs: number; running: boolean } | null = null;
  /**
   * The grant before one whose label is being written, or could not be: that is what is told, since
   * nobody may rely on a grant or a fence that a power cut could undo.
   */
  durable: Pick<VolumeRecord, "grant"> | null = null;
  /** Its creation is not, or not for certain, on its labels. */
  isMaking = false;
  /** Changes of one volume run one after another. */
  turn: Promise<unknown> = Promise.resolve();

  constructor(record: VolumeRecord, broken: Volume["broken"]) {
    this.record = record;
    this.broken = broken;
  }
}

export type Media = ReadonlyMap<string, Medium>;

export function stepsOf(record: VolumeRecord): number {
  return record.extents.reduce((sum, [, , length]) => sum + length, 0);
}

/** Steps of the volume that the labels say are zeroed (or were, before it was granted). */
export function zeroedStepsOf(record: VolumeRecord, media: Media): number {
  let steps = 0;
  for (const id of record.media) {
    const medium = media.get(id);
    if (medium === undefined) continue;
    steps += totalOf(intersect(normalise(runsOn(record, id)), medium.label.zeroed));
  }
  return steps;
}

export function grantInfoOf(volume: Volume, nowMs: number): GrantInfo | null {
  const { grant } = volume.durable ?? volume.record;
  if (grant === null) return null;
  const { generation, hostId, hostKey, state, sizeBytes, direct } = grant;
  const fence = laterFence(volume, generation);
  const info = { generation, hostId, hostKey, sizeBytes, ...(direct && { direct }), ...fence };
  if (volume.broken?.isFinal) return { ...info, state: "fenced" };
  if (volume.fencing === null || state === "fenced") return { ...info, state };
  const fencingForMs = Math.max(0, Math.round(nowMs - volume.fencing.sinceMs));
  return { ...info, state: "fencing", fencingForMs };
}

/** A fence through a later generation than its grant's, once it is durable. */
function laterFence({ record, durable }: Volume, generation: Generation) {
  const { fencedThrough } = record;
  if (durable !== null || fencedThrough === null) return {};
  return compareGenerations(fencedThrough, generation) > 0 ? { fencedThrough } : {};
}

/** Why the volume cannot be served or changed now, or null. */
export function troubleOf(
  volume: Volume,
  media: Media,
): { state: "incomplete" | "failed"; reason: string } | null {
  if (volume.broken !== null) return volume.broken;
  for (const id of volume.record.media) {
    const medium = media.get(id);
    if (medium === undefined) return { state: "incomplete", reason: `medium ${id} is not there` };
    if (!medium.ok) {
      return { state: "failed", reason: `medium ${id} is ${medium.state}: ${medium.reason}` };
    }
  }
  return null;
}

export function volumeInfoOf(volume: Volume, media: Media, nowMs: number): VolumeInfo {
  const { record } = volume;
  const trouble = troubleOf(volume, media);
  const allocated = stepsOf(record);
  const zeroed = zeroedStepsOf(record, media);
  return {
    id: record.id,
    number: record.number,
    sizeBytes: record.sizeBytes,
    // As a host sees the export, whose first block comes after the header.
    startLba: 0,
    endLba: record.sizeBytes / LBA_BYTES - 1,
    media: [...record.media],
    sequence: record.sequence,
    state: trouble?.state ?? (zeroed < allocated ? "zeroing" : "ready"),
    ...(trouble === null ? {} : { reason: asText(trouble.reason) }),
    ...(volume.isMaking && { making: true }),
    zeroedBytes: zeroed * EXTENT_STEP_BYTES,
    allocatedBytes: allocated * EXTENT_STEP_BYTES,
    leg: record.leg,
    grant: grantInfoOf(volume, nowMs),
  };
}

/** It is what was opened, though what was written to it may be lost. */
export function isReadable({ state }: Medium): boolean {
  return state === "ok" || state === "poisoned";
}

/** The volume for the data path, or null while nothing of it may be served. */
export function servedVolumeOf(volume: Volume, media: Media, nowMs: number): ServedVolume | null {
  const { record } = volume;
  if (record.deleting || volume.broken !== null) return null;
  for (const id of record.media) {
    const medium = media.get(id);
    if (medium === undefined || !isReadable(medium)) return null;
  }
  const zeroed = zeroedStepsOf(record, media) === stepsOf(record);
  // A grown part is served once it was granted too: hosts are told of it only then.
  const sizeBytes = record.grant?.sizeBytes ?? (zeroed ? record.sizeBytes : 0);
  if (sizeBytes === 0) return null;
  return {
    id: record.id,
    number: record.number,
    sequence: record.sequence,
    sizeBytes,
    grant: grantInfoOf(volume, nowMs),
    extents: dataExtentsOf(record, sizeBytes),
  };
}

function dataExtentsOf(record: VolumeRecord, sizeBytes: number): DataExtent[] {
  const extents: DataExtent[] = [];
  let skip = VOLUME_HEADER_BYTES;
  let left = sizeBytes;
  for (const [index, first, steps] of record.extents) {
    const whole = steps * EXTENT_STEP_BYTES;
    const skipped = Math.min(skip, whole);
    skip -= skipped;
    const length = Math.min(whole - skipped, left);
    if (length === 0) continue;
    left -= length;
    const start = first * EXTENT_STEP_BYTES + skipped;
    extents.push({ mediumId: record.media[index]!, start, length });
  }
  assert(left === 0, "a volume's extents do not hold its size");
  return extents;
}

/** Its missing media were all given up: what is broken stays so, and can be deleted. */
export function loseIfBroken(volume: Volume, missing: readonly string[]): void {
  const { broken } = volume;
  if (broken === null) return;
  const reason = missing.length === 0
    ? broken.reason
    : `lost with medium ${
      missing.join(", ")
    }, which an operator gave up: release its disk, which ` +
      "gives back what is left of it";
  volume.broken = { state: "failed", reason, isFinal: true };
}
