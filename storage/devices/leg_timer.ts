import type { Io } from "../io/io.ts";
import { Operation } from "../io/operation.ts";

/** One timer that can be set, set anew and unset at any time; `run` is called in a turn. */
export class LegTimer {
  readonly #io: Io;
  readonly #run: () => void;
  readonly #operation = new Operation(() => this.#onDone());
  /** Monotonic milliseconds; infinite: unset. */
  #dueMs = Infinity;

  constructor(io: Io, run: () => void) {
    this.#io = io;
    this.#run = run;
  }

  get isSet(): boolean {
    return this.#dueMs !== Infinity;
  }

  set(delayMs: number): void {
    this.#dueMs = this.#io.nowMs() + delayMs;
    // An earlier operation still has to end; it then sees what is due.
    if (this.#operation.busy) this.#io.cancel(this.#operation);
    else this.#io.timer(this.#operation, delayMs);
  }

  unset(): void {
    this.#dueMs = Infinity;
    this.#io.cancel(this.#operation);
  }

  #onDone(): void {
    if (this.#dueMs === Infinity) return;
    const restMs = this.#dueMs - this.#io.nowMs();
    // The kernel may count in whole milliseconds.
    if (restMs > 1) return this.#io.timer(this.#operation, restMs);
    this.#dueMs = Infinity;
    this.#run();
  }
}
