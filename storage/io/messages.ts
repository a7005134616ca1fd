import { assert } from "../../protocol/core/assert.ts";
import { IO_HANDLES_MAX, SEND_SEGMENTS_MAX } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import type { RawAddress } from "./addresses.ts";
import { MappedMemory } from "./arena.ts";
import type { Libc } from "./libc.ts";

const STRIDE_BYTES = abi.MESSAGE_HEAD_BYTES + SEND_SEGMENTS_MAX * abi.IOVEC_BYTES;
const STRIDE_WORDS = STRIDE_BYTES / 4;
const VECTORS_WORD = abi.MESSAGE_HEAD_BYTES / 4;
const IOVEC_WORDS = abi.IOVEC_BYTES / 4;

/**
 * For each handle one msghdr with its iovecs, or the address that it connects to: a stream has at
 * most one send under way. Pages that no handle uses are never touched.
 */
export class Messages {
  readonly #memory: MappedMemory;
  readonly #arenaAddress: number;
  readonly #pointers: (Deno.PointerObject | undefined)[] = [];

  constructor(libc: Libc, arenaAddress: number) {
    this.#memory = new MappedMemory(libc, IO_HANDLES_MAX * STRIDE_BYTES);
    this.#arenaAddress = arenaAddress;
  }

  addressOf(handle: number): number {
    return this.#memory.address + handle * STRIDE_BYTES;
  }

  /** For calls that take a pointer. */
  pointerOf(handle: number): Deno.PointerObject {
    return this.#pointers[handle] ??= this.#memory.pointerTo(handle * STRIDE_BYTES);
  }

  setSocketAddress(handle: number, address: RawAddress): void {
    this.#memory.bytes.set(address.bytes, handle * STRIDE_BYTES);
  }

  /** The first `length` bytes of what `setSocketAddress` was given. */
  socketAddress(handle: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#memory.bytes.subarray(handle * STRIDE_BYTES, handle * STRIDE_BYTES + length);
  }

  /**
   * Builds the message of the first `count` pairs (Off, length); neighbours in memory become one.
   * Answers the number of iovecs.
   */
  fill(handle: number, segments: Float64Array, count: number): number {
    assert(count > 0 && count <= SEND_SEGMENTS_MAX, "a gathered send has 1 to 128 segments");
    const words = this.#memory.words;
    const head = handle * STRIDE_WORDS;
    let vector = head + VECTORS_WORD;
    let end = -1;
    let used = 0;
    for (let i = 0; i < count; i++) {
      const off = segments[2 * i]!;
      const length = segments[2 * i + 1]!;
      if (off === end) {
        words[vector - IOVEC_WORDS + 2]! += length;
      } else {
        const address = this.#arenaAddress + off;
        words[vector] = address | 0;
        words[vector + 1] = (address / 2 ** 32) | 0;
        words[vector + 2] = length;
        words[vector + 3] = 0;
        vector += IOVEC_WORDS;
        used++;
      }
      end = off + length;
    }
    for (let word = 0; word < abi.MSGHDR_BYTES / 4; word++) words[head + word] = 0;
    this.#point(handle, 0, used);
    return used;
  }

  /**
   * Takes `sent` bytes off the front, of `used` iovecs of which `first` were done before. Answers
   * how many are done now: equal to `used` when nothing is left.
   */
  advance(handle: number, progress: { first: number; used: number; sent: number }): number {
    const words = this.#memory.words;
    const { used } = progress;
    let { first, sent } = progress;
    while (first < used) {
      const vector = handle * STRIDE_WORDS + VECTORS_WORD + first * IOVEC_WORDS;
      const length = words[vector + 2]!;
      if (sent < length) {
        const low = (words[vector]! >>> 0) + sent;
        words[vector] = low | 0;
        if (low >= 2 ** 32) words[vector + 1]!++;
        words[vector + 2] = length - sent;
        break;
      }
      sent -= length;
      first++;
    }
    this.#point(handle, first, used);
    return first;
  }

  /** Bytes of the `used` iovecs. */
  length(handle: number, used: number): number {
    let total = 0;
    for (let i = 0; i < used; i++) {
      total += this.#memory.words[handle * STRIDE_WORDS + VECTORS_WORD + i * IOVEC_WORDS + 2]!;
    }
    return total;
  }

  #point(handle: number, first: number, used: number): void {
    const words = this.#memory.words;
    const head = handle * STRIDE_WORDS;
    const at = this.addressOf(handle) + abi.MESSAGE_HEAD_BYTES + first * abi.IOVEC_BYTES;
    words[head + abi.MSGHDR_IOV_AT / 4] = at | 0;
    words[head + abi.MSGHDR_IOV_AT / 4 + 1] = (at / 2 ** 32) | 0;
    words[head + abi.MSGHDR_IOVLEN_AT / 4] = used - first;
  }

  close(): void {
    this.#memory.discard();
  }
}
