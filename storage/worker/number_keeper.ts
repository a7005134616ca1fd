import { DvsanError } from "../../protocol/core/errors.ts";
import type { IoPromises } from "../io/promises.ts";
import type { Calls } from "./messages.ts";

interface Waiting {
  readonly below: number;
  readonly settle: (problem: string | null) => void;
}

/**
 * Has the control thread keep how far numbers of volumes were given, in the unit's state directory,
 * and waits until that is durable: they are never used again, whatever becomes of the media.
 */
export class NumberKeeper {
  readonly #promises: IoPromises;
  readonly #ask: (below: number) => void;
  #waiting: Waiting[] = [];

  constructor(promises: IoPromises, ask: (below: number) => void) {
    this.#promises = promises;
    this.#ask = ask;
  }

  /** Resolves once it is durable that numbers below this one may be given. Rejects with "io". */
  async keep(below: number): Promise<void> {
    const { promise, resolve } = this.#promises.deferred<string | null>();
    this.#waiting.push({ below, settle: resolve });
    this.#ask(below);
    const problem = await promise;
    if (problem === null) return;
    throw new DvsanError(
      "io",
      "This unit gives no number to a new volume, since it cannot keep that it was given: " +
        problem,
    );
  }

  /** The control thread's answer. */
  kept({ below, problem }: Calls["numbersKept"]["params"]): void {
    const answered = this.#waiting.filter((one) => one.below <= below);
    this.#waiting = this.#waiting.filter((one) => one.below > below);
    for (const { settle } of answered) settle(problem);
  }
}
