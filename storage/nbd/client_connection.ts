import { assert } from "../../protocol/core/assert.ts";
import { KIB, MIB, NBD_SEND_BATCH_BYTES, SEND_SEGMENTS_MAX } from "../../protocol/core/limits.ts";
import { COMMAND, REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import { errnoName } from "../io/errno.ts";
import { type Handle, type Io, type Off, RECEIVE_BUFFER_BYTES, type TurnTask } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { type RepliesHost, ReplyIntake } from "./client_replies.ts";
import type { ClientRequest } from "./client_request.ts";
import { CLIENT_SLOTS, ClientSlots } from "./client_slots.ts";
import { answerHere, type ClientTerms, PLAIN_TERMS } from "./client_terms.ts";

/** Who uses a connection. Both are called in a turn, never inside a call of the owner's. */
export interface ClientOwner {
  /** `request.error` tells how; the request and its payload are the owner's again. */
  answered(request: ClientRequest): void;
  /**
   * The connection is gone and nothing of it is under way: no request that was not answered will
   * be, and the kernel has let go of every payload. Called once.
   */
  ended(reason: string): void;
}

export interface ClientConnectionOptions {
  /** In transmission: GO was answered, and nothing was received behind it. */
  readonly handle: Handle;
  readonly owner: ClientOwner;
  /** CLIENT_BUFFER_BYTES of the arena, the caller's again after `ended`. */
  readonly buffer: Off;
  /** Without any reply for so long while requests are under way, the connection is given up. */
  readonly replyTimeoutMs: number;
  /** PLAIN_TERMS when not given. */
  readonly terms?: ClientTerms;
}

/** What a connection keeps headers in. One more than requests: DISC has its own. */
export const CLIENT_BUFFER_BYTES = (CLIENT_SLOTS + 1) * REQUEST_HEADER_BYTES;
/** Less than this is not worth a receive of its own: it comes with the next headers. */
const DIRECT_BYTES_MIN = 16 * KIB;
/** Direct receives are cut here, so that each piece counts as a sign of life. */
const DIRECT_BYTES_MAX = 1 * MIB;
/** A single request may take this many times longer than silence may last. */
const REQUEST_AGE_FACTOR = 4;
const TICKS_PER_TIMEOUT = 4;

/**
 * A client's connection in transmission. Requests that come up in one turn leave in one gathered
 * send, or before its end where much is to be sent, each payload from where it lies; replies are
 * read from what `receive` brings, and large payloads straight into the place they are for. Nothing
 * is allocated for a request.
 *
 * A server can make it end, never hang: cookies carry a slot and a rising number, a reply that fits
 * no request that was sent ends the connection, and so does silence.
 */
export class ClientConnection implements RepliesHost {
  readonly #io: Io;
  readonly #handle: Handle;
  readonly #owner: ClientOwner;
  readonly #replyTimeoutMs: number;
  readonly #headers: Off;
  readonly #slots = new ClientSlots();
  /** The requests in the send under way. */
  readonly #sending: ClientRequest[] = new Array(CLIENT_SLOTS);
  #sendingCount = 0;
  /** Of small payloads that wait for a send. */
  #unsentBytes = 0;
  /** Replies of one receive. */
  #repliedCount = 0;
  /** The most that the next receive takes: a header, when large payloads follow them. */
  #receiveBytesMax = RECEIVE_BUFFER_BYTES;
  readonly #segments = new Float64Array(SEND_SEGMENTS_MAX * 2);
  readonly #sendOperation = new Operation((operation) => this.#onSent(operation));
  readonly #receiveOperation = new Operation((operation) => this.#onReceived(operation));
  readonly #directOperation = new Operation((operation) => this.#onDirect(operation));
  readonly #timerOperation = new Operation(() => this.#onTick());
  readonly #sendTask: TurnTask = { queued: false, run: () => this.#send() };
  readonly #replies: ReplyIntake;
  readonly #terms: ClientTerms;
  /** Answered without the server: it does not understand them. */
  #here: ClientRequest[] = [];
  readonly #hereTask: TurnTask = { queued: false, run: () => this.#answerHere() };
  #progressMs = 0;
  #goodbye: "no" | "asked" | "sending" = "no";
  #state: "open" | "ending" | "ended" = "open";
  #reason = "";

  /** Takes the handle over. */
  constructor(io: Io, options: ClientConnectionOptions) {
    this.#io = io;
    this.#headers = options.buffer;
    this.#handle = options.handle;
    this.#owner = options.owner;
    this.#replyTimeoutMs = options.replyTimeoutMs;
    this.#terms = options.terms ?? PLAIN_TERMS;
    this.#replies = new ReplyIntake(io, this, this.#terms);
    io.receive(this.#receiveOperation, options.handle);
    this.#startTimer();
  }

  /** Whether `submit` may be called. */
  get hasRoom(): boolean {
    return this.#state === "open" && this.#goodbye === "no" && this.#slots.taken < CLIENT_SLOTS;
  }

  /** Requests that were submitted and not answered. */
  get outstanding(): number {
    return this.#slots.taken + this.#here.length;
  }

  submit(request: ClientRequest): void {
    assert(this.hasRoom, "a request is submitted where there is room");
    const now = this.#io.timeMs;
    if (this.#slots.taken === 0) this.#progressMs = now;
    request.sent = false;
    request.answered = false;
    request.error = 0;
    request.isFilled = false;
    request.isScattered = false;
    request.submittedMs = now;
    if (answerHere(request, this.#terms, this.#io.view)) {
      this.#here.push(request);
      return this.#io.atTurnEnd(this.#hereTask);
    }
    this.#slots.put(request);
    const isSmall = request.length < NBD_SEND_BATCH_BYTES;
    if (isSmall && request.command === COMMAND.write) this.#unsentBytes += request.length;
    // The unit has something to do while the rest of the turn's requests are taken.
    if (this.#unsentBytes >= NBD_SEND_BATCH_BYTES && !this.#sendOperation.busy) this.#send();
    else this.#io.atTurnEnd(this.#sendTask);
  }

  /** Says DISC and ends; nothing may be outstanding. */
  goodbye(): void {
    assert(this.outstanding === 0, "goodbye comes when everything was answered");
    if (this.#state !== "open" || this.#goodbye !== "no") return;
    this.#goodbye = "asked";
    this.#reason = "left";
    this.#io.atTurnEnd(this.#sendTask);
  }

  /** Gives the connection up now; `ended` follows once nothing is under way. Idempotent. */
  drop(reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    this.#reason = reason;
    this.#io.shutdown(this.#handle);
    this.#io.cancel(this.#timerOperation);
  }

  // Sending.

  #send(): void {
    if (this.#state !== "open" || this.#sendOperation.busy) return;
    if (this.#goodbye !== "no") return this.#sendGoodbye();
    const segments = this.#segments;
    let count = 0;
    this.#sendingCount = 0;
    this.#unsentBytes = 0;
    while (this.#slots.hasUnsent && count + 2 <= SEND_SEGMENTS_MAX) {
      const request = this.#slots.nextUnsent(this.#io.view, this.#headers);
      this.#sending[this.#sendingCount++] = request;
      segments[count * 2] = this.#headers + request.slot * REQUEST_HEADER_BYTES;
      segments[count * 2 + 1] = REQUEST_HEADER_BYTES;
      count++;
      if (request.command === COMMAND.write) {
        segments[count * 2] = request.off;
        segments[count * 2 + 1] = request.length;
        count++;
      }
    }
    if (count > 0) this.#io.sendGathered(this.#sendOperation, this.#handle, segments, count);
  }

  #sendGoodbye(): void {
    if (this.#goodbye !== "asked") return;
    this.#goodbye = "sending";
    const at = this.#headers + CLIENT_SLOTS * REQUEST_HEADER_BYTES;
    const nothing = { flags: 0, position: 0, length: 0, cookieHigh: 0, cookieLow: 0 };
    writeRequest(this.#io.view, at, { ...nothing, command: COMMAND.disconnect });
    this.#io.send(this.#sendOperation, this.#handle, at, REQUEST_HEADER_BYTES);
  }

  #onSent(operation: Operation): void {
    const count = this.#sendingCount;
    this.#sendingCount = 0;
    if (operation.result < 0) this.drop(`sending failed: ${errnoName(operation.result)}`);
    if (this.#goodbye === "sending") this.drop(this.#reason);
    if (this.#state !== "open") return this.#settle();
    for (let i = 0; i < count && this.#state === "open"; i++) {
      const request = this.#sending[i]!;
      request.sent = true;
      if (request.answered) this.#complete(request);
    }
    if (this.#slots.hasUnsent || this.#goodbye === "asked") this.#io.atTurnEnd(this.#sendTask);
    this.#settle();
  }

  // Receiving.

  #onReceived(operation: Operation): void {
    if (operation.result > 0) {
      const off = operation.off;
      this.#repliedCount = 0;
      if (this.#state === "open") this.#replies.take(off, off + operation.result);
      this.#io.buffers.release(off);
      const isReply = this.#repliedCount > 0;
      this.#io.brought(this.#handle, isReply ? this.#repliedCount + this.outstanding : 0);
    } else if (operation.result === 0) {
      this.drop("the unit closed the connection");
    } else {
      this.drop(`receiving failed: ${errnoName(operation.result)}`);
    }
    this.#receiveMore();
  }

  #onDirect(operation: Operation): void {
    const wanted = Math.min(this.#replies.wanted, DIRECT_BYTES_MAX);
    if (operation.result < 0) this.drop(`receiving failed: ${errnoName(operation.result)}`);
    else if (operation.result < wanted) this.drop("the unit closed the connection in a reply");
    if (this.#state === "open") {
      this.#progressMs = this.#io.timeMs;
      this.#replies.received(wanted);
    }
    this.#receiveBytesMax = this.#replies.headerBytes;
    this.#receiveMore();
  }

  #receiveMore(): void {
    if (this.#state !== "open") return this.#settle();
    const { wanted, wantedAt } = this.#replies;
    if (wanted >= DIRECT_BYTES_MIN) {
      const length = Math.min(wanted, DIRECT_BYTES_MAX);
      this.#io.receiveExactly(this.#directOperation, this.#handle, wantedAt, length);
    } else {
      this.#io.receive(this.#receiveOperation, this.#handle, this.#receiveBytesMax);
      // Unless another large payload follows, the receive after that takes what there is.
      this.#receiveBytesMax = RECEIVE_BUFFER_BYTES;
    }
  }

  // RepliesHost.

  find(cookieHigh: number, cookieLow: number): ClientRequest | null {
    return this.#slots.find(cookieHigh, cookieLow);
  }

  replied(request: ClientRequest): void {
    this.#repliedCount++;
    request.answered = true;
    if (request.sent) this.#complete(request);
  }

  #answerHere(): void {
    const here = this.#here;
    this.#here = [];
    if (this.#state !== "open") return;
    for (const request of here) this.#owner.answered(request);
  }

  /** Answered, and the kernel has let go of its header and payload. */
  #complete(request: ClientRequest): void {
    this.#slots.release(request);
    this.#progressMs = this.#io.timeMs;
    this.#owner.answered(request);
  }

  // Ending.

  #startTimer(): void {
    this.#io.timer(this.#timerOperation, this.#replyTimeoutMs / TICKS_PER_TIMEOUT);
  }

  #onTick(): void {
    if (this.#state === "open") {
      const now = this.#io.nowMs();
      const silent = now - this.#progressMs >= this.#replyTimeoutMs;
      if (silent && (this.outstanding > 0 || this.#goodbye !== "no")) {
        this.drop(`the unit did not reply for ${this.#replyTimeoutMs} ms`);
      } else if (this.#slots.hasOlderThan(now - this.#replyTimeoutMs * REQUEST_AGE_FACTOR)) {
        this.drop("the unit left a request unanswered");
      } else {
        this.#startTimer();
      }
    }
    this.#settle();
  }

  #settle(): void {
    if (this.#state !== "ending") return;
    if (this.#sendOperation.busy || this.#receiveOperation.busy) return;
    if (this.#directOperation.busy || this.#timerOperation.busy) return;
    this.#state = "ended";
    this.#io.close(this.#handle);
    this.#slots.clear();
    this.#owner.ended(this.#reason);
  }
}
