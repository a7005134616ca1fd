import type { Clock } from "../../protocol/core/clock.ts";

export interface PacedOptions {
  readonly clock: Clock;
  /** Between two that are let through for one key. */
  readonly pauseMs: number;
  /** Keys of what is gone are forgotten, so that they do not add up. */
  readonly isThere: (key: string) => boolean;
}

/** Lets each of some keys through at most once in a while. */
export class Paced {
  readonly #o: PacedOptions;
  readonly #passedMs = new Map<string, number>();

  constructor(options: PacedOptions) {
    this.#o = options;
  }

  pass(key: string): boolean {
    const { clock, pauseMs, isThere } = this.#o;
    const nowMs = clock.nowMs();
    if (nowMs - (this.#passedMs.get(key) ?? -Infinity) < pauseMs) return false;
    for (const known of this.#passedMs.keys()) {
      if (!isThere(known)) this.#passedMs.delete(known);
    }
    this.#passedMs.set(key, nowMs);
    return true;
  }
}
