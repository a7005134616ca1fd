import { CORRELATION_JUMP } from "../core/limits.ts";
import { ReplayWindow } from "./replay_window.ts";

/**
 * Which requests of one peer were handled already, also when their answers are kept no more: a
 * copy that somebody held back must not be handled once again. Its asker counts correlations up by
 * one from a random start, so a far one is the first of the peer's next run.
 */
export class HandledRequests {
  #window = new ReplayWindow();
  #newest = 0;

  has(correlation: number): boolean {
    return !this.#isOtherRun(correlation) && !this.#window.accepts(correlation);
  }

  add(correlation: number): void {
    const isOtherRun = this.#isOtherRun(correlation);
    if (isOtherRun) this.#window = new ReplayWindow();
    this.#newest = isOtherRun ? correlation : Math.max(this.#newest, correlation);
    this.#window.mark(correlation);
  }

  #isOtherRun(correlation: number): boolean {
    return Math.abs(correlation - this.#newest) > CORRELATION_JUMP;
  }
}
