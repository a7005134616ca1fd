import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { LEG_REPLAY_PIECE_BYTES, LEG_REPLAYS_MAX } from "../../protocol/core/limits.ts";
import type { BufferWaiter, Io, Off } from "../io/io.ts";

/**
 * Buffers for the replays of all legs of a host, kept aside from the start. Callers' requests that
 * wait for a replay hold buffers of the arena, perhaps all of them; so a replay must not need one.
 * First come, first served.
 */
export class ReplayBuffers {
  readonly #io: Io;
  readonly #free: Off[] = [];
  readonly #waiters: BufferWaiter[] = [];

  /** Throws DvsanError when the arena has not that many. */
  constructor(io: Io) {
    this.#io = io;
    for (let i = 0; i < LEG_REPLAYS_MAX; i++) {
      const off = io.buffers.take(LEG_REPLAY_PIECE_BYTES);
      if (off < 0) {
        this.close();
        throw new DvsanError("limit", "No buffers are free for a host. Start it by itself.");
      }
      this.#free.push(off);
    }
  }

  /** Runs `waiter.run` with a buffer, at once if one is free. */
  wait(waiter: BufferWaiter): void {
    const off = this.#free.pop();
    if (off === undefined) this.#waiters.push(waiter);
    else waiter.run(off);
  }

  withdraw(waiter: BufferWaiter): void {
    const at = this.#waiters.indexOf(waiter);
    if (at >= 0) this.#waiters.splice(at, 1);
  }

  release(off: Off): void {
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) return waiter.run(off);
    assert(this.#free.length < LEG_REPLAYS_MAX, "a buffer is released once");
    this.#free.push(off);
  }

  /** Gives them back to the arena; none may be in use. */
  close(): void {
    for (const off of this.#free) this.#io.buffers.release(off);
    this.#free.length = 0;
  }
}
