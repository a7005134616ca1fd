import { assert } from "../../protocol/core/assert.ts";
import { LATENCY_US_MAX, LEG_REQUESTS_MAX } from "../../protocol/core/limits.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Io } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import { typeOfCommand } from "../nbd/request_types.ts";
import { LegRequest } from "./leg_request.ts";

/** The requests of a leg's callers: made when first needed, reused, bounded, and counted. */
export class LegRequestPool {
  readonly #io: Io;
  readonly #counters: CounterRow;
  readonly #free: LegRequest[] = [];
  #made = 0;

  constructor(io: Io, counters: CounterRow) {
    this.#io = io;
    this.#counters = counters;
  }

  /** One to fill in, or null when there are too many. Counted from here on. */
  take(operation: Operation, command: number): LegRequest | null {
    let request = this.#free.pop();
    if (request === undefined) {
      if (this.#made === LEG_REQUESTS_MAX) return null;
      request = new LegRequest();
      this.#made++;
    }
    request.operation = operation;
    request.command = command;
    request.flags = 0;
    request.isUnlogged = false;
    request.sinceMs = this.#io.timeMs;
    this.#counters.begin(typeOfCommand(command));
    return request;
  }

  /** It ends with `result`, 0 or a negated errno; the operation to end so. */
  giveBack(request: LegRequest, result: number): Operation {
    const type = typeOfCommand(request.command);
    const ms = this.#io.timeMs - request.sinceMs;
    const latencyUs = Math.min(ms * 1000, LATENCY_US_MAX) | 0;
    if (result < 0) this.#counters.fail(type, -result, latencyUs);
    else this.#counters.end(type, request.length, latencyUs);
    return this.#release(request);
  }

  /** Nobody is there any more who could be answered; the operation to end. */
  drop(request: LegRequest): Operation {
    this.#counters.drop();
    return this.#release(request);
  }

  #release(request: LegRequest): Operation {
    const operation = request.operation;
    assert(operation !== null, "a caller's request has an operation");
    request.operation = null;
    this.#free.push(request);
    return operation;
  }
}
