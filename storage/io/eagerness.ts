import {
  LOOK_CREDIT,
  LOOK_LARGE_SLEEPS,
  LOOK_MS,
  LOOK_PAUSES_MAX,
  LOOK_PAUSES_MIN,
} from "../../protocol/core/limits.ts";

/** How often memory is asked before the clock is. */
export const LOOKS_PER_CLOCK = 16;

/**
 * How long a turn that has nothing to do looks for work before it sleeps. Waking a thread takes
 * longer than many a peer takes for its next request, above all on a virtual machine. But looking
 * takes the processor from whoever would bring that work, if they share it, so it is done only
 * while it pays: when sleeps turn out short it is tried once, it goes on while it finds something,
 * and after each vain try it is tried more seldom. Nor is it done among large transfers: there it
 * always finds something, since the next bytes are on their way, but a sleep would lose nothing.
 */
export class Eagerness {
  /** Vain tries that are still allowed. */
  #credit = 0;
  /** Short sleeps until the next try. */
  #pauses = LOOK_PAUSES_MIN;
  #pausesNext = LOOK_PAUSES_MIN;
  /** Sleeps until the last large transfer is forgotten. */
  #large = 0;

  /** Milliseconds to look for; 0: sleep at once. */
  get lookMs(): number {
    return this.#credit > 0 && this.#large === 0 ? LOOK_MS : 0;
  }

  looked(found: boolean): void {
    if (found) {
      this.#credit = LOOK_CREDIT;
      this.#pausesNext = LOOK_PAUSES_MIN;
    } else if (--this.#credit === 0) {
      this.#pauses = this.#pausesNext;
      this.#pausesNext = Math.min(this.#pausesNext * 2, LOOK_PAUSES_MAX);
    }
  }

  /** LOOK_BYTES_MAX or more were sent, or are received. */
  movedMuch(): void {
    this.#large = LOOK_LARGE_SLEEPS;
  }

  slept(ms: number): void {
    if (this.#large > 0) this.#large--;
    else if (ms < LOOK_MS && --this.#pauses <= 0) this.#credit = 1;
  }
}
