import type { SimAlarm, SimSchedule } from "./sim_schedule.ts";

interface Waiting {
  readonly atMs: number;
  readonly run: () => void;
}

/** A small schedule for unit tests of the simulated kernel; the simulator has its own. */
export class TestSchedule implements SimSchedule {
  readonly said: string[] = [];
  #nowMs = 0;
  #state: number;
  /** By time, then by order of asking. */
  readonly #waiting: Waiting[] = [];

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, _what: string, run: () => void): SimAlarm {
    const waiting = { atMs: this.#nowMs + delayMs, run };
    let low = 0;
    let high = this.#waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#waiting[middle]!.atMs <= waiting.atMs) low = middle + 1;
      else high = middle;
    }
    this.#waiting.splice(low, 0, waiting);
    return {
      cancel: () => {
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
      },
    };
  }

  fraction(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  say(text: string): void {
    this.said.push(`${this.#nowMs.toFixed(3)} ${text}`);
  }

  /** Runs what is due within so many milliseconds; false when nothing was. */
  pass(durationMs: number): boolean {
    const endMs = this.#nowMs + durationMs;
    let ran = false;
    while (this.step(endMs)) ran = true;
    this.#nowMs = endMs;
    return ran;
  }

  /** Runs the next event, if it is due by `endMs`. */
  step(endMs = Infinity): boolean {
    const next = this.#waiting[0];
    if (next === undefined || next.atMs > endMs) return false;
    this.#waiting.shift();
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.run();
    return true;
  }
}
