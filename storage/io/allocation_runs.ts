import type { AllocationQuery } from "./io.ts";
import type { SimMedium } from "./sim_medium.ts";

/** A run's length and flags. */
const RUN_BYTES = 8;

/** The flags of a run, as base:allocation has them: not allocated (1), and certainly zero (2). */
export const RUN = { data: 0, hole: 1 | 2, zero: 2 } as const;

/**
 * Writes the runs that answer an AllocationQuery, in order; neighbours that are alike become one.
 */
export class RunWriter {
  /** Where the next run begins. */
  position: number;
  readonly end: number;
  /** Runs that were written. */
  count = 0;
  readonly #view: DataView;
  readonly #off: number;
  readonly #countMax: number;
  #lastFlags = -1;

  constructor(view: DataView, query: AllocationQuery) {
    this.#view = view;
    this.#off = query.off;
    this.#countMax = query.countMax;
    this.position = query.position;
    this.end = query.position + query.length;
  }

  /** The run goes on to `end`, or to that of the query; false once nothing more is to be told. */
  add(end: number, flags: number): boolean {
    const length = Math.min(end, this.end) - this.position;
    if (flags === this.#lastFlags) {
      const at = this.#off + RUN_BYTES * (this.count - 1);
      this.#view.setUint32(at, this.#view.getUint32(at) + length);
    } else {
      if (this.count === this.#countMax) return false;
      const at = this.#off + RUN_BYTES * this.count;
      this.#view.setUint32(at, length);
      this.#view.setUint32(at + 4, flags);
      this.#lastFlags = flags;
      this.count++;
    }
    this.position += length;
    return this.position < this.end;
  }
}

/** The answer of a simulated medium: how many runs were written. */
export function writeSimRuns(medium: SimMedium, view: DataView, query: AllocationQuery): number {
  const runs = new RunWriter(view, query);
  for (;;) {
    const { isHole, end } = medium.runAt(runs.position);
    if (!runs.add(end, isHole ? RUN.hole : RUN.data)) return runs.count;
  }
}
