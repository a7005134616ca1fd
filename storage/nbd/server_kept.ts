import { NBD_KEPT_FREE_MAX } from "../../protocol/core/limits.ts";
import { RECEIVE_BUFFER_BYTES } from "../io/io.ts";
import type { ByteSource } from "../../protocol/nbd/request.ts";
import { assert } from "../../protocol/core/assert.ts";

type Room = ByteSource;

const NO_ROOM = roomOf(0);

/** Memory for kept bytes, shared by all connections of a server: who is idle holds none. */
export class KeptPool {
  readonly #free: Room[] = [];

  take(): Room {
    return this.#free.pop() ?? roomOf(RECEIVE_BUFFER_BYTES);
  }

  giveBack(room: Room): void {
    if (this.#free.length < NBD_KEPT_FREE_MAX) this.#free.push(room);
  }
}

/**
 * Received bytes that cannot be parsed yet. They are copied out of the receive buffer, since a
 * connection that waits must not hold what others receive into.
 */
export class KeptBytes implements ByteSource {
  readonly #pool: KeptPool;
  #room = NO_ROOM;
  #from = 0;
  #to = 0;

  constructor(pool: KeptPool) {
    this.#pool = pool;
  }

  get bytes(): Uint8Array {
    return this.#room.bytes;
  }

  get view(): DataView {
    return this.#room.view;
  }

  get from(): number {
    return this.#from;
  }

  get to(): number {
    return this.#to;
  }

  keep(bytes: Uint8Array, from: number, to: number): void {
    assert(this.#from === this.#to, "bytes are kept when those before were taken");
    assert(to - from <= RECEIVE_BUFFER_BYTES, "no more is kept than one receive brings");
    if (this.#room === NO_ROOM) this.#room = this.#pool.take();
    this.#room.bytes.set(bytes.subarray(from, to));
    this.#from = 0;
    this.#to = to - from;
  }

  /** Everything before `at` was taken. */
  taken(at: number): void {
    // What was being taken may have made the connection stop, which cleared all.
    if (this.#room === NO_ROOM) return;
    assert(at >= this.#from && at <= this.#to, "what is taken was kept");
    this.#from = at;
    if (at === this.#to) this.clear();
  }

  clear(): void {
    this.#from = 0;
    this.#to = 0;
    if (this.#room === NO_ROOM) return;
    this.#pool.giveBack(this.#room);
    this.#room = NO_ROOM;
  }
}

function roomOf(length: number): Room {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}
