import {
  EXTENT_STEP_BYTES,
  LEGS_PER_DISK_MAX,
  SIZE_STEP_BYTES,
  VOLUME_HEADER_BYTES,
  VOLUMES_PER_UNIT_MAX,
} from "../../protocol/core/limits.ts";
import { roundUp } from "../../protocol/core/bytes.ts";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import type { AllocationView } from "../../web/station_api.ts";
import { sizeText } from "./words.ts";

/** A unit as the allocation sees it. */
export interface Candidate {
  readonly unitId: string;
  readonly name: string;
  /** Why it may not be used now, in words; null when it may. */
  readonly excluded: string | null;
  readonly spare: boolean;
  readonly media: readonly MediumInfo[];
  readonly volumes: number;
  /** Promised to volumes that the unit does not hold yet; headers and rounding included. */
  readonly promisedBytes: number;
}

export interface LegPlace {
  readonly unitId: string;
  readonly unit: string;
  readonly sizeBytes: number;
}

interface Room {
  readonly candidate: Candidate;
  readonly reason: string | null;
  /** Largest volume it can take, as hosts see it. */
  readonly largestBytes: number;
  /** The same from space that is zeroed already. */
  readonly zeroedBytes: number;
}

/** What a volume takes from a unit's media: with its header, in whole extents. */
export function allocatedBytesOf(sizeBytes: number): number {
  return roundUp(sizeBytes + VOLUME_HEADER_BYTES, EXTENT_STEP_BYTES);
}

/**
 * Picks units for a disk of `sizeBytes`: the one with room where it leaves the least space over
 * (large holes stay for large disks; zeroed space first, since it can be granted at once), or else
 * as few units as can hold it together. Says for every unit why it was chosen or not.
 */
export function allocate(
  sizeBytes: number,
  options: { readonly units: readonly Candidate[]; readonly legsMax?: number },
): AllocationView {
  const legsMax = options.legsMax ?? LEGS_PER_DISK_MAX;
  const wanted = roundUp(sizeBytes, SIZE_STEP_BYTES);
  const rooms = options.units.map(roomOf);
  const usable = rooms.filter((room) => room.reason === null && room.largestBytes > 0);
  const one = legsMax < 1 ? undefined : bestFit(usable, wanted);
  const legs = one !== undefined
    ? [placeOn(one, wanted)]
    : placeOnSeveral(usable, { wanted, legsMax });
  const chosen = new Map((legs ?? []).map((leg) => [leg.unitId, leg]));
  return {
    possible: legs !== null,
    legs: legs ?? [],
    units: rooms.map((room) => ({
      unitId: room.candidate.unitId,
      unit: room.candidate.name,
      chosen: chosen.has(room.candidate.unitId),
      reason: reasonFor(room, { wanted, leg: chosen.get(room.candidate.unitId), legs }),
    })),
  };
}

/** How much more a volume of this unit may grow, as hosts see it. */
export function growRoomBytes(candidate: Candidate): number {
  if (candidate.excluded !== null) return 0;
  return Math.max(0, freeBytesOf(candidate));
}

function roomOf(candidate: Candidate): Room {
  const reason = candidate.excluded ?? exclusionOf(candidate);
  const ok = candidate.media.filter((medium) => medium.state === "ok");
  const free = freeBytesOf(candidate);
  const zeroed = ok.reduce((sum, medium) => sum + medium.zeroedBytes, 0) - candidate.promisedBytes;
  return {
    candidate,
    reason,
    largestBytes: Math.max(0, free - VOLUME_HEADER_BYTES),
    zeroedBytes: Math.max(0, Math.min(free, zeroed) - VOLUME_HEADER_BYTES),
  };
}

function exclusionOf(candidate: Candidate): string | null {
  if (candidate.spare) return "spare: held back to replace a unit that fails";
  if (candidate.media.length === 0) return "has no media";
  if (!candidate.media.some((medium) => medium.state === "ok")) {
    const states = candidate.media.map((medium) =>
      `${medium.path || medium.id} is ${medium.state}`
    );
    return `has no usable media (${states.join(", ")})`;
  }
  if (candidate.volumes >= VOLUMES_PER_UNIT_MAX) {
    return `holds ${candidate.volumes} volumes, its most`;
  }
  return null;
}

/** Space for volumes and their headers that nobody was promised, in whole extents. */
function freeBytesOf(candidate: Candidate): number {
  let free = 0;
  for (const medium of candidate.media) {
    if (medium.state !== "ok" || medium.largestVolumeBytes === 0) continue;
    free += Math.min(medium.freeBytes, medium.largestVolumeBytes + VOLUME_HEADER_BYTES);
  }
  const left = free - candidate.promisedBytes;
  return Math.floor(left / EXTENT_STEP_BYTES) * EXTENT_STEP_BYTES;
}

function bestFit(rooms: readonly Room[], wanted: number): Room | undefined {
  const fitting = rooms.filter((room) => room.largestBytes >= wanted);
  const late = (room: Room) => room.zeroedBytes >= wanted ? 0 : 1;
  return fitting.sort((a, b) =>
    late(a) - late(b) || a.largestBytes - b.largestBytes || compareNames(a, b)
  )[0];
}

/** The largest units whole, and for what is left the one where it fits best. */
function placeOnSeveral(
  rooms: readonly Room[],
  options: { readonly wanted: number; readonly legsMax: number },
): LegPlace[] | null {
  const left = rooms.toSorted((a, b) => b.largestBytes - a.largestBytes || compareNames(a, b));
  const legs: LegPlace[] = [];
  let missing = options.wanted;
  while (missing > 0) {
    if (legs.length >= options.legsMax) return null;
    const last = bestFit(left, missing);
    const room = last ?? left[0];
    if (room === undefined) return null;
    const leg = placeOn(room, Math.min(missing, room.largestBytes));
    left.splice(left.indexOf(room), 1);
    legs.push(leg);
    missing -= leg.sizeBytes;
  }
  return legs;
}

function placeOn(room: Room, sizeBytes: number): LegPlace {
  return { unitId: room.candidate.unitId, unit: room.candidate.name, sizeBytes };
}

function reasonFor(
  room: Room,
  options: {
    readonly wanted: number;
    readonly leg: LegPlace | undefined;
    readonly legs: readonly LegPlace[] | null;
  },
): string {
  const { wanted, leg, legs } = options;
  if (room.reason !== null) return room.reason;
  const has = `has ${sizeText(room.largestBytes)} free`;
  const needs = `${has}, ${sizeText(wanted)} needed`;
  if (leg === undefined) {
    if (room.largestBytes < wanted) return needs;
    return `${has}; ${legs?.[0]?.unit ?? "another unit"} fits better`;
  }
  if (legs !== null && legs.length > 1) {
    return `chosen for ${sizeText(leg.sizeBytes)}: no single unit has room, ${needs}`;
  }
  const zeroed = room.zeroedBytes >= wanted;
  return zeroed
    ? `chosen: ${has}, zeroed, and it leaves the least over`
    : `chosen: ${has} and leaves the least over; zeroing comes first`;
}

function compareNames(a: Room, b: Room): number {
  return a.candidate.name < b.candidate.name ? -1 : 1;
}
