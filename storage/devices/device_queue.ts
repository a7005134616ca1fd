import { assert } from "../../protocol/core/assert.ts";
import type { Io, TurnTask } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";

/**
 * Ends operations that a device could answer at once: not inside its call, but at the end of the
 * turn, in order.
 */
export class DeviceQueue implements TurnTask {
  queued = false;
  readonly #io: Io;
  #waiting: Operation[] = [];
  #results: number[] = [];

  constructor(io: Io) {
    this.#io = io;
  }

  /** `operation` ends with `result` soon. */
  end(operation: Operation, result: number): void {
    assert(!operation.busy, "an operation is submitted once");
    operation.busy = true;
    this.#waiting.push(operation);
    this.#results.push(result);
    this.#io.atTurnEnd(this);
  }

  run(): void {
    const waiting = this.#waiting;
    const results = this.#results;
    this.#waiting = [];
    this.#results = [];
    waiting.forEach((operation, i) => {
      operation.busy = false;
      operation.result = results[i]!;
      operation.done(operation);
    });
  }
}
