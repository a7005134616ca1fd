import type { Clock, Timer } from "../../protocol/core/clock.ts";

/** Time that moves only when a test says so. */
export class FakeClock implements Clock {
  #now = 0;
  #timers: { atMs: number; run: () => void }[] = [];

  nowMs(): number {
    return this.#now;
  }
  wallMs(): number {
    return 1_000_000 + this.#now;
  }
  after(delayMs: number, run: () => void): Timer {
    const timer = { atMs: this.#now + delayMs, run };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }
  /** Runs everything due within `ms`, one timer after the other. */
  async pass(ms: number): Promise<void> {
    const endMs = this.#now + ms;
    for (;;) {
      await settle();
      const [next] = this.#timers.toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.atMs);
      next.run();
    }
    this.#now = endMs;
    await settle();
  }
  /** Time goes by in which nothing runs, and then all that is due. */
  async standStill(ms: number): Promise<void> {
    this.#now += ms;
    await this.pass(0);
  }
}

/** Lets every promise that can go on go on: nothing here waits for the machine. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 300; turn++) await Promise.resolve();
}
