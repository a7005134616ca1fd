import { assert } from "../../protocol/core/assert.ts";
import { RECEIVE_BUFFERS_MAX } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import { errnoName } from "./errno.ts";
import { RECEIVE_BUFFER_BYTES } from "./io.ts";
import type { Libc } from "./libc.ts";
import { storeOrdered } from "./ordered.ts";
import { Ring, unavailable } from "./uring_ring.ts";

/**
 * The receive buffers that the kernel may choose from: a ring of provided buffers (Linux 5.19),
 * from which it takes one only when bytes have come.
 */
export class UringBuffers {
  readonly #memory: MappedMemory;
  readonly #halfwords: Uint16Array;
  readonly #mask: number;
  readonly #start: number;
  readonly #startAddress: number;
  #tail = 0;

  constructor(
    libc: Libc,
    options: { ring: Ring; count: number; start: number; arenaAddress: number },
  ) {
    const { ring, count } = options;
    assert(count > 0 && count <= RECEIVE_BUFFERS_MAX, "receive buffers fit the kernel's ring");
    let entries = 1;
    while (entries < count) entries *= 2;
    this.#mask = entries - 1;
    this.#start = options.start;
    this.#startAddress = options.arenaAddress + options.start;
    this.#memory = new MappedMemory(libc, entries * abi.PBUF_ENTRY_BYTES);
    this.#halfwords = new Uint16Array(this.#memory.buffer);
    const argument = new Uint8Array(abi.PBUF_REG_BYTES);
    const view = new DataView(argument.buffer);
    view.setBigUint64(0, BigInt(this.#memory.address), true);
    view.setUint32(8, entries, true);
    const result = ring.register(abi.REGISTER_PBUF_RING, { argument, count: 1 });
    if (result < 0) throw unavailable(`it has no rings of buffers (${errnoName(result)})`);
  }

  /** Gives the buffer at `off` to the kernel. */
  lend(off: number): void {
    const at = this.#tail & this.#mask;
    const word = at * (abi.PBUF_ENTRY_BYTES / 4);
    const address = this.#startAddress + (off - this.#start);
    this.#memory.words[word] = address | 0;
    this.#memory.words[word + 1] = (address / 2 ** 32) | 0;
    this.#memory.words[word + 2] = RECEIVE_BUFFER_BYTES;
    this.#halfwords[word * 2 + abi.PBUF_ENTRY_ID_HALFWORD] =
      ((off - this.#start) / RECEIVE_BUFFER_BYTES) | 0;
    this.#tail = (this.#tail + 1) & 0xffff;
    storeOrdered(this.#halfwords, abi.PBUF_TAIL_HALFWORD, this.#tail);
  }

  /** The buffer that a completion's flags name. */
  chosen(flags: number): number {
    return this.#start + (flags >>> abi.CQE_BUFFER_SHIFT) * RECEIVE_BUFFER_BYTES;
  }

  close(): void {
    this.#memory.discard();
  }
}

export interface UringParts {
  readonly ring: Ring;
  readonly receiveBuffers: UringBuffers;
}

/** A ring with its receive buffers. Throws DvsanError "unsupported" where there cannot be both. */
export function openRing(
  libc: Libc,
  options: { count: number; start: number; arenaAddress: number },
): UringParts {
  const ring = new Ring(libc);
  try {
    return { ring, receiveBuffers: new UringBuffers(libc, { ...options, ring }) };
  } catch (error) {
    ring.close();
    throw error;
  }
}
