import {
  TRIAL_CALLS_MIN,
  TRIAL_HOLD_MS_MAX,
  TRIAL_HOLD_MS_MIN,
  TRIAL_MARGIN,
  TRIAL_PAUSE_MS,
  TRIAL_SETTLE_MS,
  TRIAL_WINDOW_MS,
} from "../../protocol/core/limits.ts";

const MARGIN = Math.log(TRIAL_MARGIN);
/** Of the windows of a trial, those in which the other way is gone: neither comes first. */
const GOES_OTHER_WAY = [false, true, true, false];

/**
 * Which of two ways of doing the same work is the faster one. What a copy, a sleep and a wake-up
 * cost differs so much between machines that one way can be the better by half on one of them, and
 * the worse by half on the next; and what a peer makes of it, only its next requests tell. So while
 * there is work without a pause, both ways are gone in turns, and what was done in each is counted,
 * once client and server have fallen into step with it: that takes them hundreds of requests.
 * The better one is kept for a while, for longer and longer as long as it proves to be that. A peer
 * may change its pace by half within hundredths of a second for reasons of its own (BBR does). So
 * a trial that says otherwise than those before is soon held again, and weighs as much as they do.
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
  /** When peers have got used to a change, and when the window began after that. */
  #settledMs = 0;
  #beganMs = 0;
  #calls = 0;
  #amount = 0;
  /** Done in the first way and in the other, and the time that it took. */
  readonly #amounts = new Float64Array(2);
  readonly #times = new Float64Array(2);
  /** How much faster the other way was in trials of late, as a logarithm; NaN: not known. */
  readonly #gain = new Float64Array([NaN]);

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
      // What comes behind a pause may be other work: nothing is to be compared across it.
      if (!this.#isKept) this.#beginTrial();
    } else if (!this.#isKept) {
      this.#count(amount);
    } else {
      this.#leftMs -= pausedMs;
      if (this.#leftMs <= 0) this.#beginTrial();
    }
  }

  get #isKept(): boolean {
    return this.#window === GOES_OTHER_WAY.length;
  }

  #count(amount: number): void {
    const { timeMs } = this.#clock;
    if (timeMs < this.#settledMs) {
      this.#beganMs = timeMs;
      return;
    }
    this.#calls++;
    this.#amount += amount;
    const tookMs = timeMs - this.#beganMs;
    if (this.#calls < TRIAL_CALLS_MIN || tookMs < TRIAL_WINDOW_MS) return;
    const index = this.isOther ? 1 : 0;
    this.#amounts[index]! += this.#amount;
    this.#times[index]! += tookMs;
    this.#begin(this.#window + 1);
  }

  #beginTrial(): void {
    this.#amounts.fill(0);
    this.#times.fill(0);
    this.#settledMs = this.#clock.timeMs + TRIAL_SETTLE_MS;
    this.#begin(0);
  }

  #begin(window: number): void {
    this.#window = window;
    this.#beganMs = this.#clock.timeMs;
    this.#calls = 0;
    this.#amount = 0;
    if (this.#isKept) return this.#decide();
    const isOther = this.#best !== GOES_OTHER_WAY[window]!;
    if (isOther !== this.isOther) this.#settledMs = this.#beganMs + TRIAL_SETTLE_MS;
    this.isOther = isOther;
  }

  #decide(): void {
    const gain = this.#gain;
    const gainNow = Math.log(this.#rateOf(1) / this.#rateOf(0));
    gain[0] = Number.isNaN(gain[0]) ? gainNow : (gain[0]! + gainNow) / 2;
    const contradicts = (this.#best ? -gainNow : gainNow) > MARGIN;
    if ((this.#best ? -gain[0]! : gain[0]!) > MARGIN) this.#best = !this.#best;
    this.#holdMs = contradicts ? TRIAL_HOLD_MS_MIN : Math.min(2 * this.#holdMs, TRIAL_HOLD_MS_MAX);
    this.isOther = this.#best;
    this.#leftMs = this.#holdMs;
  }

  #rateOf(index: number): number {
    return this.#amounts[index]! / this.#times[index]!;
  }
}
