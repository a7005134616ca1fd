import { GATHER_EACH_US, GATHER_PARTS, GATHER_US_MAX } from "../../protocol/core/limits.ts";

/**
 * How long a turn that has nothing to do waits for several things to do, rather than for the first.
 * A peer that keeps many requests under way sends them one by one. Whoever serves each as it comes
 * is woken for each, and wakes the peer for each reply, and on a virtual machine a wake-up costs as
 * much as the request. So the wait grows with what one receive brought lately: no peer waits for
 * longer than it takes to send the like of it again, and one that has a single request under way
 * does not wait at all.
 */
export class Gathering {
  /** Requests or replies of one receive, the most of late, in GATHER_PARTS. */
  #recent = 0;
  #more = false;

  /** One receive has brought so many requests or replies. */
  brought(count: number): void {
    this.#recent = Math.max(this.#recent, count * GATHER_PARTS);
  }

  /** A receive has filled its buffer: more is there already. */
  filled(): void {
    this.#more = true;
  }

  /** Whole microseconds to gather for before the next sleep may end; 0: do not. */
  takeWaitUs(): number {
    const recent = this.#recent;
    const isMore = this.#more;
    this.#more = false;
    this.#recent = recent - Math.ceil(recent / GATHER_PARTS);
    if (isMore || recent <= GATHER_PARTS) return 0;
    return Math.min(Math.floor(recent / GATHER_PARTS * GATHER_EACH_US), GATHER_US_MAX);
  }
}
