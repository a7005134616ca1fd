import {
  TRIAL_CALLS_MIN,
  TRIAL_HOLD_MS_MAX,
  TRIAL_HOLD_MS_MIN,
  TRIAL_HOPELESS,
  TRIAL_MARGIN,
  TRIAL_PAUSE_MS,
  TRIAL_WINDOW_MS,
} from "../../protocol/core/limits.ts";

/** Of the windows of a trial, those in which the other way is gone: neither comes first. */
const GOES_OTHER_WAY = [false, true, true, false, false, true, true, false];

/**
 * Which of two ways of doing the same work is the faster one. What a copy, a sleep and a wake-up
 * cost differs so much between machines that one way can be the better by half on one of them, and
 * the worse by half on the next; and what a peer makes of it, only its next requests tell. So while
 * there is work without a pause, both ways are gone in turns, and what was done in each is counted.
 * The better one is kept for a while, for longer and longer as long as it proves to be that.
 */
export class Trial {
  readonly #clock: { readonly timeMs: number };
  /** The way to go now; false is the first way, with which everything begins. */
  isOther = false;
  #best = false;
  /** Index in GOES_OTHER_WAY, or its length: the best way is kept. */
  #window = 0;
  /** How long the best way is kept, and how much of that is left, in time with work. */
  #holdMs = TRIAL_HOLD_MS_MIN;
  #leftMs = 0;
  #lastMs = -Infinity;
  #beganMs = 0;
  #calls = 0;
  #amount = 0;
  /** Done in the best way and in the other, and the time that it took. */
  readonly #amounts = new Float64Array(2);
  readonly #times = new Float64Array(2);

  /** `clock`: handed over whole, since a fraction as an argument may cost an object each time. */
  constructor(clock: { readonly timeMs: number }) {
    this.#clock = clock;
  }

  /** So much was done by now, in whole bytes or requests, whichever way. */
  did(amount: number): void {
    const nowMs = this.#clock.timeMs;
    const pausedMs = nowMs - this.#lastMs;
    this.#lastMs = nowMs;
    if (pausedMs > TRIAL_PAUSE_MS) {
      if (!this.#isKept) this.#begin(this.#window);
    } else if (!this.#isKept) {
      this.#count(amount);
    } else {
      this.#leftMs -= pausedMs;
      if (this.#leftMs <= 0) this.#begin(0);
    }
  }

  get #isKept(): boolean {
    return this.#window === GOES_OTHER_WAY.length;
  }

  #count(amount: number): void {
    this.#calls++;
    this.#amount += amount;
    const tookMs = this.#clock.timeMs - this.#beganMs;
    if (this.#calls < TRIAL_CALLS_MIN || tookMs < TRIAL_WINDOW_MS) return;
    const index = this.isOther === this.#best ? 0 : 1;
    this.#amounts[index]! += this.#amount;
    this.#times[index]! += tookMs;
    const isHopeless = this.#rateOf(1) * TRIAL_HOPELESS < this.#rateOf(0);
    this.#begin(index === 1 && isHopeless ? GOES_OTHER_WAY.length : this.#window + 1);
  }

  #begin(window: number): void {
    this.#window = window;
    this.#beganMs = this.#clock.timeMs;
    this.#calls = 0;
    this.#amount = 0;
    if (this.#isKept) this.#decide();
    else this.isOther = this.#best !== GOES_OTHER_WAY[window]!;
  }

  #decide(): void {
    if (this.#rateOf(1) > this.#rateOf(0) * TRIAL_MARGIN) {
      this.#best = !this.#best;
      this.#holdMs = TRIAL_HOLD_MS_MIN;
    } else {
      this.#holdMs = Math.min(2 * this.#holdMs, TRIAL_HOLD_MS_MAX);
    }
    this.isOther = this.#best;
    this.#leftMs = this.#holdMs;
    this.#amounts.fill(0);
    this.#times.fill(0);
  }

  #rateOf(index: number): number {
    return this.#amounts[index]! / this.#times[index]!;
  }
}
