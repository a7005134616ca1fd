import { assert } from "../../protocol/core/assert.ts";
import { NBD_REQUESTS_PER_CONNECTION_MAX } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { type ByteSource, requestError, RequestReader } from "../../protocol/nbd/request.ts";
import { errnoName } from "../io/errno.ts";
import { type Io, type Off, RECEIVE_BUFFER_BYTES } from "../io/io.ts";
import { bufferBytesOf, type CallsHost, DeviceCalls, hasBuffer } from "./server_calls.ts";
import { KeptBytes } from "./server_kept.ts";
import { RequestMeter } from "./server_meter.ts";
import { HeldBuffers, PayloadReceiver } from "./server_payload.ts";
import { type ReplyOwner, ReplyQueue } from "./server_replies.ts";
import type { RequestPool, RequestWaiter, ServerRequest } from "./server_request.ts";
import type { Pause, SessionHost, SessionOptions, Shared } from "./server_session_types.ts";

/**
 * The transmission phase of one connection: requests in, device operations, replies out. The hot
 * path of the server: nothing here allocates for a request.
 *
 * Limits: at most NBD_REQUESTS_PER_CONNECTION_MAX requests and NBD_CONNECTION_HELD_BYTES_MAX of
 * payload are taken at a time. Bytes that cannot be parsed yet are kept aside (at most one receive
 * buffer's worth), and the socket stays unread.
 */
export class Session implements CallsHost, ReplyOwner, RequestWaiter {
  readonly #host: SessionHost;
  readonly #io: Io;
  readonly #pool: RequestPool;
  readonly #terms: Pick<SessionOptions, "info" | "agreed">;
  readonly #meter: RequestMeter;
  readonly #replies: ReplyQueue;
  readonly #reader = new RequestReader();
  readonly #kept: KeptBytes;
  readonly #calls: DeviceCalls;
  readonly payload: PayloadReceiver;
  readonly held: HeldBuffers;
  readonly #bufferWaiter = { run: (off: Off) => this.#bufferCame(off) };
  #pause: Pause = "none";
  /** Requests taken and not yet given back. */
  #taken = 0;
  /** The request that waits for a buffer, or whose payload is being received. */
  #current: ServerRequest | null = null;
  /** A refused request whose payload is being thrown away. */
  #draining: ServerRequest | null = null;
  #stopping = false;
  #shut = false;

  constructor(host: SessionHost, options: SessionOptions) {
    this.#host = host;
    this.#io = options.io;
    this.#pool = options.pool;
    this.#kept = new KeptBytes(options.pool.kept);
    this.held = new HeldBuffers(options);
    this.payload = new PayloadReceiver(options, () => this.#payloadReceived());
    const failed = (command: number, errno: number) => host.deviceFailed(command, errno);
    this.#calls = new DeviceCalls(this, { ...options, failed });
    this.#terms = options;
    this.#meter = new RequestMeter(options.io, options.counters);
    this.#replies = new ReplyQueue(options, { owner: this, meter: this.#meter });
  }

  get quiescent(): boolean {
    return this.#calls.underWay === 0;
  }

  /** Every request was answered, and no operation is under way on the socket. */
  get idle(): boolean {
    return this.#taken === 0 && !this.#replies.busy && !this.payload.busy;
  }

  get waitsFor(): Shared | null {
    return this.#pause === "requests" ? "request" : this.#pause === "buffer" ? "buffer" : null;
  }

  /** Since when its client keeps what is shared by not reading or sending; Infinity: not. */
  get stalledSinceMs(): number {
    return Math.min(this.#replies.sendSinceMs, this.payload.sinceMs);
  }

  /** More bytes can be taken; otherwise `receiveMore` will be called. */
  get hungry(): boolean {
    return this.#pause === "none";
  }

  /** The stream stands between two requests. */
  get betweenRequests(): boolean {
    return !this.#reader.midway && this.#draining === null && this.#current === null;
  }

  /** Nothing is under way, and what comes next is a request. */
  get resting(): boolean {
    return this.#taken === 0 && this.#pause === "none" && this.betweenRequests;
  }

  /** Bytes that were received; what cannot be parsed yet is copied. */
  take(source: ByteSource, from: number, to: number): void {
    const before = this.#taken;
    const at = this.#parse(source, from, to);
    this.payload.brought(this.#taken - before);
    if (at < to && this.#pause !== "stopped") this.#kept.keep(source.bytes, at, to);
  }

  /** Reads no more requests; those taken are answered, also one whose payload is on its way. */
  stop(): void {
    this.#stopping = true;
    if (this.#pause === "payload" && !this.#shut) return;
    if (this.#pause === "requests") this.#pool.withdraw(this);
    if (this.#pause === "buffer") {
      this.#io.buffers.withdraw(this.#bufferWaiter);
      this.#dropCurrent();
    }
    this.#pause = "stopped";
    this.#kept.clear();
    if (this.#draining !== null) this.replyDone(this.#draining);
    this.#draining = null;
  }

  /** Submits nothing more and answers nothing more. What the device has runs to its end. */
  shut(): void {
    if (this.#shut) return;
    this.#shut = true;
    this.#calls.stop();
    this.stop();
    this.#replies.stop();
  }

  #parse(source: ByteSource, from: number, to: number): number {
    const reader = this.#reader;
    let at = from;
    while (this.#pause === "none") {
      if (!reader.complete) {
        at = reader.take(source, at, to);
        if (this.#draining !== null && !reader.skipping) {
          this.#replies.answer(this.#draining);
          this.#draining = null;
        }
        if (reader.broken) {
          this.#host.failed("a request does not begin with its magic");
          return to;
        }
        if (!reader.complete) return at;
      }
      if (reader.command === COMMAND.disconnect) {
        this.#host.disconnected();
        return to;
      }
      if (!this.#admit()) return at;
      at = this.#beginPayload(source, at, to);
    }
    return at;
  }

  /** Takes the request in the reader on, or pauses; false when it pauses before any payload. */
  #admit(): boolean {
    const reader = this.#reader;
    const error = requestError(reader, this.#terms.info, this.#terms.agreed);
    const needsBuffer = error === 0 && reader.length > 0 && hasBuffer(reader.command);
    const tooMuch = needsBuffer && !this.held.admits(bufferBytesOf(reader));
    if (this.#taken >= NBD_REQUESTS_PER_CONNECTION_MAX || tooMuch) {
      this.#pause = "capacity";
      return false;
    }
    const request = this.#pool.take(this.#calls);
    if (request === null) {
      this.#pause = "requests";
      this.#pool.wait(this);
      this.#host.starved("request");
      return false;
    }
    this.#taken++;
    request.fill(reader, error);
    this.#meter.begin(request);
    if (!needsBuffer) {
      this.#beginWithoutBuffer(request);
      return true;
    }
    reader.next(0);
    this.#current = request;
    const need = bufferBytesOf(request);
    const off = this.held.take(need);
    if (off < 0) {
      this.#pause = "buffer";
      this.held.wait(need, this.#bufferWaiter);
      this.#host.starved("buffer");
      return false;
    }
    this.held.hold(request, off);
    return true;
  }

  #beginWithoutBuffer(request: ServerRequest): void {
    const skip = request.command === COMMAND.write ? request.length : 0;
    this.#reader.next(skip);
    const isEmpty = request.length === 0 && request.command !== COMMAND.flush;
    if (skip > 0) this.#draining = request;
    else if (request.error !== 0 || isEmpty) this.#replies.answer(request);
    else this.#calls.submit(request);
  }

  /** The current request has its buffer: it goes to the device, WRITE takes its payload first. */
  #beginPayload(source: ByteSource, from: number, to: number): number {
    const request = this.#current;
    if (request === null) return from;
    if (request.command !== COMMAND.write) {
      this.#current = null;
      this.payload.receiveBytesMax = RECEIVE_BUFFER_BYTES;
      this.#calls.submit(request);
      return from;
    }
    const count = this.payload.copy(request, source, from, to);
    if (count === request.length) {
      this.#current = null;
      this.#calls.submit(request);
    } else {
      this.#pause = "payload";
      this.payload.receiveRest(request, count);
    }
    return from + count;
  }

  #bufferCame(off: Off): void {
    const request = this.#current;
    assert(this.#pause === "buffer" && request !== null, "a buffer comes to who waits for one");
    this.held.hold(request, off);
    this.#pause = "none";
    const kept = this.#kept;
    if (this.#calls.hasGone) this.#dropCurrent();
    else kept.taken(this.#beginPayload(kept, kept.from, kept.to));
    // A payload may be on its way by now.
    if (this.#pause === "none") this.requestFree();
  }

  #payloadReceived(): void {
    const request = this.#current;
    assert(request !== null, "a payload belongs to a request");
    if (this.#shut || !this.payload.whole) {
      // Nothing of a payload that did not come whole is ever written.
      this.#dropCurrent();
      if (this.#shut) this.#host.progressed();
      else this.#host.failed("the connection was lost within a payload");
      return;
    }
    this.#current = null;
    this.#pause = this.#stopping ? "stopped" : "none";
    this.#calls.submit(request);
    this.#goOn();
  }

  /**
   * A wait is over. What a client that has gone left unread is not begun: it may have come back,
   * and have written anew what an old request would write over.
   */
  requestFree(): void {
    this.#pause = "none";
    if (this.#calls.hasGone) return this.#host.failed("the client has gone");
    this.#goOn();
  }

  /** Parses what was kept aside and the header that waits, if any; then asks for more. */
  #goOn(): void {
    const kept = this.#kept;
    kept.taken(this.#parse(kept, kept.from, kept.to));
    if (this.#pause === "none") this.#host.receiveMore();
  }

  /** For DeviceCalls: the request's outcome is known. */
  requestFinished(request: ServerRequest): void {
    const keepsBuffer = request.error === 0 && request.command !== COMMAND.write;
    // The buffer may be what this connection waits for, and that finds its client gone.
    if (!this.#shut && !keepsBuffer) this.held.letGo(request);
    if (!this.#shut) return this.#replies.answer(request);
    this.replyDone(request);
    this.#host.progressed();
  }

  /** For AtOnceRequests: a reply that waits for the socket, or for others if none is the last. */
  unsent(request: ServerRequest, isLast = false): void {
    this.#taken++;
    this.#replies.add(request);
    if (isLast) this.#replies.run();
  }

  replyDone(request: ServerRequest): void {
    this.#meter.drop(request);
    this.held.letGo(request);
    this.#taken--;
    this.#pool.release(request);
  }

  repliesSent(errno: number): void {
    if (errno !== 0 && !this.#shut) {
      return this.#host.failed(`a reply could not be sent (${errnoName(errno)})`);
    }
    if (this.#pause === "capacity") this.requestFree();
    if (this.#stopping) this.#host.progressed();
  }

  #dropCurrent(): void {
    if (this.#current !== null) this.replyDone(this.#current);
    this.#current = null;
  }
}
