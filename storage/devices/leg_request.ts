import { assert } from "../../protocol/core/assert.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import type { Io, TurnTask } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import { ClientRequest } from "../nbd/client_request.ts";

/** What a leg's request is for: a caller, a replay of the log, or the leg's own flush. */
export type LegPurpose = "caller" | "replay" | "flush";

/** A request of a leg; in at most one list at a time. */
export class LegRequest extends ClientRequest {
  purpose: LegPurpose = "caller";
  /** The caller's operation; null for the leg's own requests. */
  operation: Operation | null = null;
  /** When the caller asked. */
  sinceMs = 0;
  /** Of a flush: the log's end when it was sent. */
  mark = 0;
  previous: LegRequest | null = null;
  next: LegRequest | null = null;
  list: LegList | null = null;
  /** Its data is kept by the log (ChangeToLog). */
  isKept = false;
  /** A change for which the log has no room: it goes with FUA, and needs none once answered. */
  isUnlogged = false;

  /** Whether it changes blocks. */
  get isChange(): boolean {
    const { command } = this;
    return command === COMMAND.write || command === COMMAND.trim || command === COMMAND.writeZeroes;
  }

  /** What a caller hears of it when it succeeded (device.ts). */
  get resultCount(): number {
    if (this.command === COMMAND.blockStatus) return this.count;
    return this.command === COMMAND.read || this.command === COMMAND.write ? this.length : 0;
  }

  /** What the log has to keep of it. */
  get logBytes(): number {
    return this.command === COMMAND.write ? this.length : 0;
  }
}

/** A list through its members, so that putting a request in allocates nothing. */
export class LegList {
  head: LegRequest | null = null;
  tail: LegRequest | null = null;
  count = 0;

  push(request: LegRequest): void {
    assert(request.list === null, "a request is in one list");
    request.list = this;
    request.previous = this.tail;
    request.next = null;
    if (this.tail === null) this.head = request;
    else this.tail.next = request;
    this.tail = request;
    this.count++;
  }

  remove(request: LegRequest): void {
    assert(request.list === this, "the request is in this list");
    if (request.previous === null) this.head = request.next;
    else request.previous.next = request.next;
    if (request.next === null) this.tail = request.previous;
    else request.next.previous = request.previous;
    request.previous = null;
    request.next = null;
    request.list = null;
    this.count--;
  }

  shift(): LegRequest | null {
    const request = this.head;
    if (request !== null) this.remove(request);
    return request;
  }

  /** Moves everything of `other` to the end, in order. */
  take(other: LegList): void {
    for (let request = other.shift(); request !== null; request = other.shift()) {
      this.push(request);
    }
  }
}

/** Ends operations at the end of the turn, because a device never ends one inside its own call. */
export class LaterResults {
  readonly #io: Io;
  #first: Operation | null = null;
  #last: Operation | null = null;
  readonly #task: TurnTask = { queued: false, run: () => this.#run() };

  constructor(io: Io) {
    this.#io = io;
  }

  /** The operation is busy; it is done with `result` soon. */
  put(operation: Operation, result: number): void {
    operation.result = result;
    operation.ioNext = null;
    if (this.#last === null) this.#first = operation;
    else this.#last.ioNext = operation;
    this.#last = operation;
    this.#io.atTurnEnd(this.#task);
  }

  #run(): void {
    let operation = this.#first;
    this.#first = null;
    this.#last = null;
    while (operation !== null) {
      const next: Operation | null = operation.ioNext;
      operation.ioNext = null;
      operation.busy = false;
      operation.done(operation);
      operation = next;
    }
  }
}
