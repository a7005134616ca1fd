import { REPLAY_WINDOW_PACKETS } from "../core/limits.ts";

const WORD_BITS = 32;
const WORDS = REPLAY_WINDOW_PACKETS / WORD_BITS;

/**
 * Which of the last counters of a session were seen. Ask `accepts` before a packet is opened and
 * `mark` it only once it was found genuine, so that a forged counter moves nothing.
 */
export class ReplayWindow {
  /** One bit for each counter, in a ring. */
  readonly #seen = new Uint32Array(WORDS);
  #next = 0;

  accepts(counter: number): boolean {
    if (counter >= this.#next) return true;
    if (counter < this.#next - REPLAY_WINDOW_PACKETS) return false;
    return (this.#seen[this.#word(counter)]! & this.#bit(counter)) === 0;
  }

  mark(counter: number): void {
    if (counter >= this.#next) {
      const from = Math.max(this.#next, counter + 1 - REPLAY_WINDOW_PACKETS);
      for (let at = from; at <= counter; at++) this.#seen[this.#word(at)]! &= ~this.#bit(at);
      this.#next = counter + 1;
    }
    this.#seen[this.#word(counter)]! |= this.#bit(counter);
  }

  #word(counter: number): number {
    return Math.floor(counter / WORD_BITS) % WORDS;
  }

  #bit(counter: number): number {
    return 1 << (counter % WORD_BITS);
  }
}
