import { createHash } from "node:crypto";
import { asText, type MediumInfo } from "../../protocol/config/bodies.ts";
import {
  EXTENT_STEP_BYTES,
  EXTENTS_PER_VOLUME_MAX,
  MEDIA_PER_UNIT_MAX,
  VOLUME_HEADER_BYTES,
} from "../../protocol/core/limits.ts";
import { randomUuid } from "../../protocol/core/random.ts";
import { infoOf } from "./accept_medium.ts";
import { largestSteps, type Space } from "./allocate.ts";
import type { Medium } from "./medium.ts";
import { intersect, totalOf } from "./ranges.ts";
import type { KnownDevice } from "./store_types.ts";

/** What a unit tells of its media. */

/** The most that a volume could get of these spaces, after its header. */
export function largestVolumeBytes(spaces: readonly Space[]): number {
  const bytes = largestSteps(spaces, EXTENTS_PER_VOLUME_MAX) * EXTENT_STEP_BYTES;
  return Math.max(0, bytes - VOLUME_HEADER_BYTES);
}

function mediumInfoOf(medium: Medium): MediumInfo {
  const { label } = medium;
  const free = medium.free();
  const zeroed = intersect(free, label.zeroed);
  const space: Space = { mediumId: medium.id, free, zeroed: label.zeroed };
  return {
    id: medium.id,
    path: medium.file.path,
    sizeBytes: medium.sizeBytes,
    freeBytes: totalOf(free) * EXTENT_STEP_BYTES,
    zeroedBytes: totalOf(zeroed) * EXTENT_STEP_BYTES,
    largestVolumeBytes: medium.ok ? largestVolumeBytes([space]) : 0,
    state: medium.state,
    ...(medium.reason === null ? {} : { reason: medium.reason }),
    sequence: label.sequence,
    ...(label.openings === undefined ? {} : { openings: label.openings }),
    errors: medium.errors,
  };
}

/** Where each is, by medium id. */
export function devicesOf(media: ReadonlyMap<string, Medium>): Record<string, KnownDevice> {
  const devices: Record<string, KnownDevice> = {};
  for (const [id, { file }] of media) devices[id] = { path: file.path, identity: file.identity };
  return devices;
}

/** Why, by medium id. */
export function poisonedOf(media: ReadonlyMap<string, Medium>): Record<string, string> {
  const poisoned: Record<string, string> = {};
  for (const [id, { state, reason }] of media) {
    if (state === "poisoned") poisoned[id] = reason ?? state;
  }
  return poisoned;
}

/**
 * All that a unit tells of its media. That one was poisoned is told also where it cannot be used at
 * all since.
 */
export function mediaInfoOf(
  media: readonly Medium[],
  { others, poisoned }: {
    readonly others: readonly MediumInfo[];
    /** Why, by medium id. */
    readonly poisoned: Readonly<Record<string, string>>;
  },
): MediumInfo[] {
  // A unit whose disks are replaced again and again remembers more than one can have.
  const all = [...media.map(mediumInfoOf), ...others].slice(0, MEDIA_PER_UNIT_MAX);
  return all.map((info) => {
    const why = poisoned[info.id];
    if (why === undefined || info.state === "poisoned") return info;
    const reason = `${info.reason ?? info.state}. It was poisoned before: ${why}`;
    return { ...info, reason: asText(reason), poisoned: true };
  });
}

export function missingInfo(id: string, sequence: number): MediumInfo {
  return {
    id,
    path: "",
    sizeBytes: 0,
    freeBytes: 0,
    zeroedBytes: 0,
    largestVolumeBytes: 0,
    state: "missing",
    reason: "this unit has served it before, and none of the paths given holds it",
    sequence,
    errors: 0,
  };
}

/** So that the station's operator sees it too; the same path has the same id at every start. */
export function refusedInfo(
  { path, reason }: { readonly path: string; readonly reason: string },
): MediumInfo {
  const hash = new Uint8Array(createHash("sha256").update(`dvsan refused ${path}`).digest());
  const id = randomUuid({ bytes: (count) => hash.slice(0, count) });
  return infoOf({ path, sizeBytes: 0 }, { state: "refused", id, reason, sequence: 0 });
}

/** What is told of a missing medium after it was given up: of its device, should that be there. */
export function givenUpInfo({ id, path }: MediumInfo): MediumInfo[] {
  if (path === "") return [];
  const reason =
    `it held medium ${id}, which was given up. It is labelled anew, and what is left ` +
    "on it zeroed, once it is reopened or the unit is restarted";
  return [refusedInfo({ path, reason })];
}
