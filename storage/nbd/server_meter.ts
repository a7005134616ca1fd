import { LATENCY_US_MAX } from "../../protocol/core/limits.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Io } from "../io/io.ts";
import { typeOfCommand } from "./request_types.ts";
import type { ServerRequest } from "./server_request.ts";

/**
 * Counts the requests of one connection, and how long each took: from its header until its reply
 * was ready to leave. The clock is the Io's, which is read once a turn and after each transfer that
 * was done inside a call, so that is the precision.
 */
export class RequestMeter {
  readonly #io: Io;
  readonly #row: CounterRow;

  constructor(io: Io, row: CounterRow) {
    this.#io = io;
    this.#row = row;
  }

  /** It was taken; once, and then `end` or `drop`. */
  begin(request: ServerRequest): void {
    request.startedMs = this.#io.preciseMs;
    this.#row.begin(typeOfCommand(request.command));
  }

  /** Its outcome is in `request.error`, and its reply leaves now. */
  end(request: ServerRequest): void {
    const ms = this.#io.preciseMs - request.startedMs;
    const latencyUs = Math.min(ms * 1000, LATENCY_US_MAX) | 0;
    request.startedMs = NOT_COUNTED;
    const type = typeOfCommand(request.command);
    if (request.error === 0) this.#row.end(type, request.length, latencyUs);
    else this.#row.fail(type, request.error, latencyUs);
  }

  /** It is given back; when that is without an answer, its connection has gone. */
  drop(request: ServerRequest): void {
    if (request.startedMs === NOT_COUNTED) return;
    request.startedMs = NOT_COUNTED;
    this.#row.drop();
  }
}

/** `startedMs` of a request that is not being counted, or not any more. */
const NOT_COUNTED = -1;
