import {
  GATHER_ALONE_SLEEPS,
  GATHER_EACH_US,
  GATHER_PARTS,
  GATHER_US_MAX,
  IO_HANDLES_MAX,
} from "../../protocol/core/limits.ts";
import { Trial } from "./trial.ts";

/** More than any receive brings, and small enough for the table. */
const BROUGHT_MAX = 2 ** 15 / GATHER_PARTS;

/**
 * How long a turn that has nothing to do waits for several things to do, rather than for the first.
 * A peer that keeps many requests under way sends them one by one. Whoever serves each as it comes
 * is woken for each, and wakes the peer for each reply, and on a virtual machine a wake-up costs as
 * much as the request. So the wait grows with what one receive brought lately: no peer waits for
 * longer than it takes to send the like of it again. While there is one who has a single request
 * under way nobody waits, since that one would wait in vain. Where the sleep costs more than that
 * saves, a trial finds it out, and nobody waits either.
 */
export class Gathering {
  /** What one receive brings, by handle, in GATHER_PARTS: the most, and less with each receive. */
  readonly #usual = new Uint16Array(IO_HANDLES_MAX);
  /** Of those that were served of late, the most. */
  #recent = 0;
  /** Sleeps that still serve somebody with a single request. */
  #alone = 0;
  #more = false;
  /** Its other way is not to gather. */
  readonly #trial: Trial;

  constructor(clock: { readonly timeMs: number }) {
    this.#trial = new Trial(clock);
  }

  /** One receive on the handle at `index` has brought so many requests or replies. */
  brought(index: number, count: number): void {
    if (count <= 0) return; // A part of something.
    const before = this.#usual[index]!;
    const brought = Math.min(count, BROUGHT_MAX) * GATHER_PARTS;
    const usual = Math.max(before - Math.ceil(before / GATHER_PARTS), brought);
    this.#usual[index] = usual;
    if (usual < 2 * GATHER_PARTS) this.#alone = GATHER_ALONE_SLEEPS;
    else this.#recent = Math.max(this.#recent, usual);
    if (this.#alone === 0) this.#trial.did(count);
  }

  /** The handle at `index` is served one request at a time: the next one comes after a reply. */
  bringsOne(index: number): boolean {
    const usual = this.#usual[index]!;
    return usual > 0 && usual < 2 * GATHER_PARTS;
  }

  /** A receive has filled its buffer: more is there already. */
  filled(): void {
    this.#more = true;
  }

  /** Whole microseconds to gather for before the next sleep may end; 0: do not. */
  takeWaitUs(): number {
    const recent = this.#recent;
    const isMore = this.#more;
    this.#recent = recent - Math.ceil(recent / GATHER_PARTS);
    this.#more = false;
    if (this.#alone > 0) {
      this.#alone--;
      return 0;
    }
    if (isMore || recent < 2 * GATHER_PARTS || this.#trial.isOther) return 0;
    return Math.min(Math.floor(recent / GATHER_PARTS * GATHER_EACH_US), GATHER_US_MAX);
  }
}
