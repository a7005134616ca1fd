/**
 * How often simulated disks and connections misbehave. Chances are for each operation (or each run
 * of bytes that arrives), between 0 and 1; spans are [least, most] in milliseconds of true time.
 */
export interface SimFaults {
  /** How long an operation on a medium takes; they end in any order. */
  mediaMs: readonly [number, number];
  readError: number;
  /** A failed write leaves any of its sectors written. */
  writeError: number;
  /** Writing back fails: the sync (or the next one) says so once, and some data is lost. */
  syncError: number;
  /** -ENOSPC for writes and zeroes on files. */
  noSpace: number;
  /** The medium stands still for `stallMs` with all that was asked of it, or one operation does. */
  stall: number;
  stallMs: readonly [number, number];
  /**
   * A connection's bytes stand still on the way for `delayedMs`; other connections go on. Ten times
   * as likely when it begins.
   */
  delayed: number;
  delayedMs: readonly [number, number];
  /** A connection is reset while bytes arrive on it. */
  reset: number;
  /** A connection is refused although somebody listens. */
  refused: number;
  /** A socket takes nothing of what is sent at once; as often, only a part of it. */
  noRoom: number;
  /** What is sent arrives cut into runs of any size up to this. */
  runBytesMax: number;
}

export const NO_FAULTS: SimFaults = {
  mediaMs: [0.05, 2],
  readError: 0,
  writeError: 0,
  syncError: 0,
  noSpace: 0,
  stall: 0,
  stallMs: [1000, 60_000],
  delayed: 0,
  delayedMs: [100, 60_000],
  reset: 0,
  refused: 0,
  noRoom: 0.05,
  runBytesMax: 64 * 1024,
};

/** The share of sends that arrive in pieces on the best of networks. */
const CUT_SHARE = 0.05;

/** The size of the next run of `most` bytes that are sent. */
export function drawRun(
  most: number,
  { runBytesMax }: Pick<SimFaults, "runBytesMax">,
  draw: () => number,
): number {
  if (runBytesMax >= most) return draw() < CUT_SHARE ? 1 + Math.floor(most * draw()) : most;
  // Mostly large runs: a stream of single bytes shows little for what it costs.
  const least = draw() < 0.1 ? 1 : Math.ceil(runBytesMax / 2);
  return Math.min(most, least + Math.floor(draw() * (runBytesMax - least + 1)));
}
