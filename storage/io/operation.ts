import type { Off } from "./io.ts";

/**
 * One operation that its owner makes once and submits again and again. Between submission and
 * `done` it is busy: the buffers it names stay taken, also when its owner was thrown out.
 *
 * Devices pass the same object down their layers, so a request allocates nothing. A layer that has
 * to act on completion uses an operation of its own.
 */
export class Operation {
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
