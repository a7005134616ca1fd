import { assert } from "../../protocol/core/assert.ts";
import {
  NBD_REPLY_BATCH_BYTES,
  NBD_REPLY_WAITS_MAX,
  NBD_REQUESTS_PER_CONNECTION_MAX,
} from "../../protocol/core/limits.ts";
import type { Handle, Io, TurnTask } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { ReplyForm } from "./reply_form.ts";
import type { RequestMeter } from "./server_meter.ts";
import type { PayloadReceiver } from "./server_payload.ts";
import type { ServerRequest } from "./server_request.ts";
import type { SessionOptions } from "./server_session_types.ts";

/** Takes requests back whose replies left, or that will never be answered. */
export interface ReplyOwner {
  /** Busy when the header of a further request has come, and not all of its payload. */
  readonly payload: Pick<PayloadReceiver, "busy" | "areLarge">;
  /** Nothing is under way on the device. */
  readonly quiescent: boolean;
  /** The buffer of `request` may be released, and the request too. */
  replyDone(request: ServerRequest): void;
  /** After the replies of one send were taken back; `errno` is 0 or the send's error. */
  repliesSent(errno: number): void;
}

/**
 * Replies of one connection. Those that become ready in one turn leave in one gathered send; the
 * next send starts when that one ended, so a client that does not read holds one send and at most
 * the connection's requests.
 */
export class ReplyQueue implements TurnTask {
  queued = false;
  readonly #io: Io;
  readonly #handle: Handle;
  readonly #form: ReplyForm;
  readonly #meter: RequestMeter;
  readonly #owner: ReplyOwner;
  readonly #send: Operation;
  readonly #segments = new Float64Array(2 * NBD_REQUESTS_PER_CONNECTION_MAX);
  #head: ServerRequest | null = null;
  #tail: ServerRequest | null = null;
  #sending: ServerRequest | null = null;
  #stopped = false;
  #sendSinceMs = 0;
  /** Of the replies that wait. */
  #bytes = 0;
  /** How often they waited for others. */
  #waits = 0;

  constructor(options: SessionOptions, parts: { owner: ReplyOwner; meter: RequestMeter }) {
    this.#io = options.io;
    this.#handle = options.handle;
    this.#form = new ReplyForm(options.io, options);
    this.#meter = parts.meter;
    this.#owner = parts.owner;
    this.#send = new Operation(() => this.#sent());
  }

  /** A send is under way: its buffers are the kernel's. */
  get busy(): boolean {
    return this.#send.busy;
  }

  /** When the send under way began; Infinity when there is none. */
  get sendSinceMs(): number {
    return this.#send.busy ? this.#sendSinceMs : Infinity;
  }

  /** The request's outcome is known. */
  answer(request: ServerRequest): void {
    this.#form.write(request);
    this.#meter.end(request);
    this.add(request);
  }

  /** The request's reply was written; it goes out with the others of this turn. */
  add(request: ServerRequest): void {
    assert(!this.#stopped, "nothing is answered on a connection that was shut");
    request.next = null;
    if (this.#tail === null) this.#head = request;
    else this.#tail.next = request;
    this.#tail = request;
    this.#bytes += request.replyBytes;
    if (this.#send.busy) return;
    // The client has something to do while the rest of the turn's requests are served.
    if (this.#bytes >= NBD_REPLY_BATCH_BYTES) this.run();
    else this.#io.atTurnEnd(this);
  }

  /** Sends nothing more; replies that wait are dropped. A send under way runs to its end. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const dropped = this.#head;
    this.#head = null;
    this.#tail = null;
    this.#giveBack(dropped);
  }

  run(): void {
    if (this.#stopped || this.#send.busy || this.#head === null) return;
    if (this.#mayWait()) return this.#io.atTurnEnd(this);
    this.#waits = 0;
    const count = this.#gather();
    this.#sending = this.#head;
    this.#head = null;
    this.#tail = null;
    this.#bytes = 0;
    this.#sendSinceMs = this.#io.timeMs;
    this.#io.sendGathered(this.#send, this.#handle, this.#segments, count);
  }

  /**
   * What is short waits for that of a request whose payload is on its way, or was large and is
   * being written by now, but not for long.
   */
  #mayWait(): boolean {
    const { payload, quiescent } = this.#owner;
    const isMore = payload.busy || (payload.areLarge && !quiescent);
    return isMore && this.#bytes < NBD_REPLY_BATCH_BYTES && ++this.#waits <= NBD_REPLY_WAITS_MAX;
  }

  /** Fills the segments with all waiting replies; returns their number. */
  #gather(): number {
    const segments = this.#segments;
    let count = 0;
    let end = -1;
    for (let request = this.#head; request !== null; request = request.next) {
      const { replyAt, replyBytes } = request;
      if (replyAt === end) {
        segments[2 * count - 1]! += replyBytes;
      } else {
        segments[2 * count] = replyAt;
        segments[2 * count + 1] = replyBytes;
        count++;
      }
      end = replyAt + replyBytes;
    }
    return count;
  }

  #sent(): void {
    const sent = this.#sending;
    this.#sending = null;
    const result = this.#send.result;
    this.#giveBack(sent);
    if (!this.#stopped && this.#head !== null) this.#io.atTurnEnd(this);
    this.#owner.repliesSent(result < 0 ? result : 0);
  }

  #giveBack(first: ServerRequest | null): void {
    let request = first;
    while (request !== null) {
      const next = request.next;
      this.#owner.replyDone(request);
      request = next;
    }
  }
}
