import { EXTENTS_PER_VOLUME_MAX } from "../../protocol/core/limits.ts";
import { intersect, type Range, type Ranges, subtract } from "./ranges.ts";

/** Which extents a volume gets. Pure; positions and lengths in steps. */

export interface Space {
  readonly mediumId: string;
  readonly free: Ranges;
  /** The part of the medium known to be zero. */
  readonly zeroed: Ranges;
}

export interface Piece {
  readonly mediumId: string;
  readonly start: number;
  readonly length: number;
}

/** The most steps that one volume with `extentsMax` more extents could get. */
export function largestSteps(spaces: readonly Space[], extentsMax: number): number {
  const lengths = spaces.flatMap((space) => space.free.map(([, length]) => length));
  lengths.sort((a, b) => b - a);
  return lengths.slice(0, extentsMax).reduce((sum, length) => sum + length, 0);
}

/**
 * `steps` of free space in at most `extentsMax` pieces, or null. It prefers one zeroed piece, then
 * one piece, then few pieces on one medium, then few pieces anywhere; and among those the smallest
 * that is large enough, to keep large pieces whole.
 */
export function allocate(
  spaces: readonly Space[],
  options: { steps: number; extentsMax?: number },
): Piece[] | null {
  const { steps } = options;
  const extentsMax = options.extentsMax ?? EXTENTS_PER_VOLUME_MAX;
  if (extentsMax < 1) return null;
  const zeroed = piecesOf(spaces, (space) => intersect(space.free, space.zeroed));
  const one = tightest(zeroed, steps) ?? tightest(piecesOf(spaces, (space) => space.free), steps);
  if (one !== null) return [one];
  for (const space of [...spaces].sort((a, b) => freeOf(b) - freeOf(a))) {
    const pieces = gather(piecesOf([space], (it) => it.free), steps, extentsMax);
    if (pieces !== null) return pieces;
  }
  return gather(piecesOf(spaces, (space) => space.free), steps, extentsMax);
}

function freeOf(space: Space): number {
  return largestSteps([space], Infinity);
}

function piecesOf(spaces: readonly Space[], ranges: (space: Space) => Ranges): Piece[] {
  return spaces.flatMap((space) =>
    ranges(space).map(([start, length]) => ({ mediumId: space.mediumId, start, length }))
  );
}

function tightest(pieces: readonly Piece[], steps: number): Piece | null {
  let best: Piece | null = null;
  for (const piece of pieces) {
    if (piece.length >= steps && (best === null || piece.length < best.length)) best = piece;
  }
  return best === null ? null : { ...best, length: steps };
}

function gather(pieces: readonly Piece[], steps: number, extentsMax: number): Piece[] | null {
  const chosen: Piece[] = [];
  let left = steps;
  for (const piece of [...pieces].sort((a, b) => b.length - a.length)) {
    if (left === 0 || chosen.length === extentsMax) break;
    const length = Math.min(piece.length, left);
    chosen.push({ ...piece, length });
    left -= length;
  }
  return left === 0 ? chosen : null;
}

/** What a medium has free: all between its label copies that no extent takes. */
export function freeRanges(lastStep: number, taken: Ranges): Range[] {
  return subtract([[1, lastStep - 1]], taken);
}
