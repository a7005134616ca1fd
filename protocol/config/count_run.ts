import { z } from "zod";

/**
 * Counts by kind or bucket as packets carry them, of which most are 0: the index of the first that
 * is not, then the counts from it up to the last that is not. Empty: all are 0.
 */
export type CountRun = readonly number[];

const Sum = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** A run of at most `length` counts. */
export function countRun(length: number) {
  return z.array(Sum).max(length + 1).refine(
    (run) => run.length === 0 || (run.length > 1 && run[0]! + run.length - 1 <= length),
    "counts beyond the last",
  );
}

export function runOf(counts: ArrayLike<number>): number[] {
  let from = 0;
  let end = counts.length;
  while (end > 0 && counts[end - 1] === 0) end--;
  while (from < end && counts[from] === 0) from++;
  return from === end
    ? []
    : [from, ...Array.from({ length: end - from }, (_, i) => counts[from + i]!)];
}

/** All `length` counts of a run. */
export function countsOf(run: CountRun, length: number): number[] {
  const counts = new Array<number>(length).fill(0);
  for (let at = 1; at < run.length; at++) counts[run[0]! + at - 1] = run[at]!;
  return counts;
}

export function totalOf(run: CountRun): number {
  let total = 0;
  for (let at = 1; at < run.length; at++) total += run[at]!;
  return total;
}
