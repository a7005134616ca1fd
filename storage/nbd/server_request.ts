import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { NBD_REQUESTS_PER_SERVER_MAX } from "../../protocol/core/limits.ts";
import { ERROR_CHUNK_BYTES_MAX } from "../../protocol/nbd/chunks.ts";
import { SIMPLE_REPLY_BYTES } from "../../protocol/nbd/constants.ts";
import type { RequestFields } from "../../protocol/nbd/request.ts";
import type { Io, Off } from "../io/io.ts";
import { type Asker, Operation } from "../io/operation.ts";
import { KeptPool } from "./server_kept.ts";

/** Who a request belongs to while it is taken. */
export interface RequestOwner extends Asker {
  /** The device is done with `request.operation`. */
  requestDone(request: ServerRequest): void;
}

/** One request of a client, from its header until its reply left. Pooled and reused. */
export class ServerRequest {
  readonly operation: Operation;
  /** 16 bytes of its own for a simple reply without data. */
  readonly replyOff: Off;
  /** ERROR_CHUNK_BYTES_MAX of its own for a chunk without data. */
  readonly chunkOff: Off;
  owner: RequestOwner | null = null;
  next: ServerRequest | null = null;

  flags = 0;
  command = 0;
  cookieHigh = 0;
  cookieLow = 0;
  position = 0;
  length = 0;
  /** WIRE_ERROR, or 0. */
  error = 0;
  /** Buffer of a payload (WRITE), or of reply and data (READ, BLOCK_STATUS), or -1. */
  off: Off = -1;
  /** Its reply, once it was written: one segment. */
  replyAt: Off = -1;
  replyBytes = 0;
  /** For RequestMeter: when it was taken, by the Io's clock; below 0: it is not being counted. */
  startedMs = -1;

  /** Takes over what the client asked for; `error` when it is refused. */
  fill(fields: RequestFields & { cookieHigh: number; cookieLow: number }, error: number): void {
    this.flags = fields.flags;
    this.command = fields.command;
    this.cookieHigh = fields.cookieHigh;
    this.cookieLow = fields.cookieLow;
    this.position = fields.position;
    this.length = fields.length;
    this.error = error;
  }

  constructor(at: { readonly replyOff: Off; readonly chunkOff: Off }) {
    this.replyOff = at.replyOff;
    this.chunkOff = at.chunkOff;
    this.operation = new Operation(() => {
      assert(this.owner !== null, "a request under way has an owner");
      this.owner.requestDone(this);
    });
  }
}

/** Something that waits for a free request object. */
export interface RequestWaiter {
  requestFree(): void;
}

/**
 * The request objects of one server, made when first needed. Their replies stand side by side in
 * one arena buffer, so that neighbours leave as one segment.
 */
export class RequestPool {
  readonly #io: Io;
  readonly #replies: Off;
  readonly #chunks: Off;
  readonly #max: number;
  /** Where their connections keep bytes that cannot be parsed yet. */
  readonly kept = new KeptPool();
  readonly #waiters: RequestWaiter[] = [];
  #free: ServerRequest | null = null;
  #made = 0;
  #taken = 0;

  /** Throws DvsanError when the arena is full: all of it may be in use for a while. */
  constructor(io: Io, max: number = NBD_REQUESTS_PER_SERVER_MAX) {
    this.#io = io;
    this.#max = max;
    this.#replies = io.buffers.take(max * SIMPLE_REPLY_BYTES);
    this.#chunks = io.buffers.take(max * ERROR_CHUNK_BYTES_MAX);
    if (this.#replies >= 0 && this.#chunks >= 0) return;
    for (const off of [this.#replies, this.#chunks]) if (off >= 0) io.buffers.release(off);
    throw new DvsanError("limit", "No buffers are free for another server. Ask again later.");
  }

  get taken(): number {
    return this.#taken;
  }

  /** A request object, or null when all are taken; then `wait`. */
  take(owner: RequestOwner): ServerRequest | null {
    let request = this.#free;
    if (request !== null) this.#free = request.next;
    else if (this.#made < this.#max) {
      request = this.#make();
    } else return null;
    this.#taken++;
    request.next = null;
    request.owner = owner;
    request.operation.asker = owner;
    request.error = 0;
    request.off = -1;
    return request;
  }

  #make(): ServerRequest {
    const index = this.#made++;
    return new ServerRequest({
      replyOff: this.#replies + SIMPLE_REPLY_BYTES * index,
      chunkOff: this.#chunks + ERROR_CHUNK_BYTES_MAX * index,
    });
  }

  /** `waiter.requestFree` runs once when one is free; first come, first served. */
  wait(waiter: RequestWaiter): void {
    this.#waiters.push(waiter);
  }

  withdraw(waiter: RequestWaiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index >= 0) this.#waiters.splice(index, 1);
  }

  release(request: ServerRequest): void {
    assert(!request.operation.busy, "a request is released after its device is done");
    assert(request.off === -1, "a request is released without a buffer");
    assert(request.owner !== null, "a request is released once");
    request.owner = null;
    request.operation.asker = null;
    request.next = this.#free;
    this.#free = request;
    this.#taken--;
    // One that finds its client gone takes none.
    while (this.#free !== null && this.#waiters.length > 0) this.#waiters.shift()!.requestFree();
  }

  /** Gives the arena buffer back; every request must have been released. */
  close(): void {
    assert(this.#taken === 0, "no request is under way when its server closes");
    this.#io.buffers.release(this.#replies);
    this.#io.buffers.release(this.#chunks);
  }
}
