import type { Medium } from "./medium.ts";
import { Zeroer } from "./zeroer.ts";

/** The zeroing of all of a unit's media. */
export class Zeroers {
  readonly #all: Zeroer[] = [];

  add(medium: Medium, random: (count: number) => Uint8Array): void {
    this.#all.push(new Zeroer(medium, random));
  }

  /** They look for work. */
  kick(): void {
    for (const zeroer of this.#all) zeroer.kick();
  }

  async idle(): Promise<void> {
    for (const zeroer of this.#all) await zeroer.idle();
  }

  /** All are told before one is waited for: after a `resume` none may be stopped any more. */
  async stop(): Promise<void> {
    await Promise.all(this.#all.map((zeroer) => zeroer.stop()));
  }

  /** They go on after `stop`. */
  resume(): void {
    for (const zeroer of this.#all) zeroer.resume();
  }
}
