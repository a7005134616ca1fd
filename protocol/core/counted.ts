/**
 * What is counted of requests, and in which steps: the same in a data worker's counters, in
 * metrics, in heartbeats and in what the station tells.
 */

/** Kinds of errors: what metrics call them, the Linux errno of each, and what people call them. */
export const ERROR_KINDS = [
  { name: "denied", errno: 1, words: "denied" },
  { name: "io", errno: 5, words: "I/O" },
  { name: "no_memory", errno: 12, words: "no memory" },
  { name: "invalid", errno: 22, words: "invalid" },
  { name: "no_space", errno: 28, words: "no space" },
  { name: "too_large", errno: 75, words: "too large" },
  { name: "unsupported", errno: 95, words: "unsupported" },
  { name: "shutdown", errno: 108, words: "shutting down" },
  { name: "other", errno: 0, words: "other" },
] as const;
export type ErrorKind = (typeof ERROR_KINDS)[number]["name"];

/** Latency is kept apart for these; "other" is discard, zero, cache, status and the rest. */
export const LATENCY_CLASSES = ["read", "write", "flush", "other"] as const;
export type LatencyClass = (typeof LATENCY_CLASSES)[number];

/** Upper bounds of the latency buckets: 10 µs, doubled up to 10.5 s; one more takes the rest. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from(
  { length: 21 },
  (_, i) => 0.01 * 2 ** i,
);
export const LATENCY_BUCKETS = LATENCY_BOUNDS_MS.length + 1;

/**
 * The bound of the bucket in which this share of what was counted ended, so at most twice what it
 * was, in milliseconds; null when nothing was counted.
 */
export function quantileMs(counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  let seen = 0;
  const bucket = counts.findIndex((count) => (seen += count) >= total * share);
  return LATENCY_BOUNDS_MS[Math.min(bucket, LATENCY_BOUNDS_MS.length - 1)]!;
}
