import type { Off } from "./io.ts";

/** Somebody who asks for operations. */
export interface Asker {
  /** Nobody is there any more who could be told, and who asks anew may be elsewhere by now. */
  readonly hasGone: boolean;
  /** When they came, by the Io's clock. */
  readonly sinceMs: number;
}

/** For what no client asked for: nobody hears what comes of it. */
export const NOBODY: Asker = Object.freeze({ hasGone: true, sinceMs: Infinity });

/**
 * One operation that its owner makes once and submits again and again. Between submission and
 * `done` it is busy: the buffers it names stay taken, also when its owner was thrown out.
 *
 * Devices pass the same object down their layers, so a request allocates nothing. A layer that has
 * to act on completion uses an operation of its own.
 */
export class Operation {
  /**
   * Who it is done for, where they may go away: a device that does long work in pieces begins no
   * more of them then, and ends it with ESHUTDOWN. What was begun runs to its end.
   */
  asker: Asker | null = null;
  /** A count, a Handle, or a negated errno; valid in `done` and until the next submission. */
  result = 0;
  /** The buffer that `receive` chose. */
  off: Off = -1;
  busy = false;
  /** Called in `turn()` after the operation ended; it may submit this operation again. */
  done: (operation: Operation) => void;

  // Owned by the Io that it was submitted to.
  ioSlot = -1;
  ioNext: Operation | null = null;
  /** Its work is not done yet: it is, directly before `done`. */
  ioLate = false;

  constructor(done: (operation: Operation) => void) {
    this.done = done;
  }
}
