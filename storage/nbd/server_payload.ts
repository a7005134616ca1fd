import { assert } from "../../protocol/core/assert.ts";
import {
  NBD_CONNECTION_HELD_BYTES_MAX,
  NBD_PAYLOAD_APART_BYTES_MIN,
  NBD_SERIAL_BYTES_MIN,
} from "../../protocol/core/limits.ts";
import { REQUEST_HEADER_BYTES } from "../../protocol/nbd/constants.ts";
import type { Device } from "../devices/device.ts";
import type { ByteSource } from "../../protocol/nbd/request.ts";
import {
  type BufferUser,
  type BufferWaiter,
  type Handle,
  type Io,
  type Off,
  RECEIVE_BUFFER_BYTES,
} from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { ServerRequest } from "./server_request.ts";

/** The buffers that one connection's requests hold. */
export class HeldBuffers {
  bytes = 0;
  readonly #io: Io;
  readonly #user: BufferUser;
  readonly #inMemory: boolean;

  constructor(of: {
    readonly io: Io;
    readonly bufferUser: BufferUser;
    readonly device: Pick<Device, "traits">;
  }) {
    this.#io = of.io;
    this.#user = of.bufferUser;
    this.#inMemory = of.device.traits.inMemory === true;
  }

  /**
   * One more of so many bytes may be held. Large ones of a medium in memory are held one at a time:
   * it is not made faster by several at once, and one buffer stays in the processor's cache.
   */
  admits(bytes: number): boolean {
    const isSerial = this.#inMemory && bytes >= NBD_SERIAL_BYTES_MIN;
    return this.bytes === 0 ||
      (!isSerial && this.bytes + bytes <= NBD_CONNECTION_HELD_BYTES_MAX);
  }

  take(length: number): Off {
    return this.#io.buffers.take(length, this.#user);
  }

  wait(length: number, waiter: BufferWaiter): void {
    this.#io.buffers.wait(length, waiter, this.#user);
  }

  hold(request: ServerRequest, off: Off): void {
    request.off = off;
    this.bytes += this.#io.buffers.sizeOf(off);
  }

  letGo(request: ServerRequest): void {
    if (request.off < 0) return;
    const off = request.off;
    request.off = -1;
    this.bytes -= this.#io.buffers.sizeOf(off);
    this.#io.buffers.release(off);
  }
}

/** Brings a WRITE's payload into its buffer: what was received with it, then the rest. */
export class PayloadReceiver {
  readonly #io: Io;
  readonly #handle: Handle;
  readonly #operation: Operation;
  readonly #inMemory: boolean;
  /** The least that the next receive need take: a header, when large payloads follow them. */
  receiveBytesMax = RECEIVE_BUFFER_BYTES;
  #rest = 0;
  #sinceMs = 0;

  /** `done` runs when the rest has come, or will not come: see `whole`. */
  constructor(
    of: { readonly io: Io; readonly handle: Handle; readonly device: Device },
    done: () => void,
  ) {
    this.#io = of.io;
    this.#handle = of.handle;
    this.#inMemory = of.device.traits.inMemory === true;
    this.#operation = new Operation(done);
  }

  get busy(): boolean {
    return this.#operation.busy;
  }

  /** Those of late were large, and the device writes them within the turn. */
  get areLarge(): boolean {
    return this.#inMemory && this.receiveBytesMax < RECEIVE_BUFFER_BYTES;
  }

  /** Since when a rest is waited for; Infinity when none is. */
  get sinceMs(): number {
    return this.#operation.busy ? this.#sinceMs : Infinity;
  }

  /** In `done`: the payload is there to its last byte. */
  get whole(): boolean {
    return this.#operation.result === this.#rest;
  }

  /** One receive has brought so many requests. */
  brought(count: number): void {
    this.#io.brought(this.#handle, count);
  }

  /** Copies what source[from, to) has of the payload; the number of bytes taken. */
  copy(request: ServerRequest, source: ByteSource, from: number, to: number): number {
    const count = Math.min(request.length, to - from);
    const { bytes } = this.#io;
    if (source.bytes === bytes) bytes.copyWithin(request.off, from, from + count);
    else bytes.set(source.bytes.subarray(from, from + count), request.off);
    return count;
  }

  /** Receives what is missing after the first `count` bytes straight into the buffer. */
  receiveRest(request: ServerRequest, count: number): void {
    assert(count < request.length, "something is missing");
    this.#sinceMs = this.#io.timeMs;
    this.#rest = request.length - count;
    const isLarge = request.length >= NBD_PAYLOAD_APART_BYTES_MIN;
    this.receiveBytesMax = isLarge ? REQUEST_HEADER_BYTES : RECEIVE_BUFFER_BYTES;
    const aside = this.#inMemory && count === 0;
    const at = request.off + count;
    this.#io.receiveExactly(this.#operation, this.#handle, at, this.#rest, aside);
  }
}
