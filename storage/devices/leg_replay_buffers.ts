import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { LEG_REPLAY_PIECE_BYTES, LEG_REPLAYS_MAX } from "../../protocol/core/limits.ts";
import type { BufferWaiter, Io, Off } from "../io/io.ts";

interface Waiting {
  readonly waiter: BufferWaiter;
  readonly unitId: string;
}

/**
 * Buffers for the replays of all legs of a host, kept aside from the start. Callers' requests that
 * wait for a replay hold buffers of the arena, perhaps all of them; so a replay must not need one.
 * First come, first served among those that may have one: the legs of a unit have half of what is
 * there at most, so that one that takes replays and never answers does not hold up other units'.
 */
export class ReplayBuffers {
  readonly #io: Io;
  readonly #free: Off[] = [];
  /** How many the legs of each unit have. */
  readonly #held = new Map<string, number>();
  readonly #waiting: Waiting[] = [];

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

  /** Runs `waiter.run` with a buffer for a leg of this unit, at once if there is one. */
  wait(waiter: BufferWaiter, unitId: string): void {
    if (this.#hasFor(unitId)) this.#give({ waiter, unitId });
    else this.#waiting.push({ waiter, unitId });
  }

  withdraw(waiter: BufferWaiter): void {
    const at = this.#waiting.findIndex((one) => one.waiter === waiter);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Of a leg of the unit that it was given for. */
  release(off: Off, unitId: string): void {
    const held = this.#heldBy(unitId);
    assert(held > 0 && this.#free.length < LEG_REPLAYS_MAX, "a buffer is released once");
    if (held === 1) this.#held.delete(unitId);
    else this.#held.set(unitId, held - 1);
    this.#free.push(off);
    for (;;) {
      const at = this.#waiting.findIndex((one) => this.#hasFor(one.unitId));
      if (at < 0) return;
      this.#give(this.#waiting.splice(at, 1)[0]!);
    }
  }

  #hasFor(unitId: string): boolean {
    return this.#free.length > this.#heldBy(unitId);
  }

  #heldBy(unitId: string): number {
    return this.#held.get(unitId) ?? 0;
  }

  #give({ waiter, unitId }: Waiting): void {
    const off = this.#free.pop();
    assert(off !== undefined, "who is given a buffer may have one");
    this.#held.set(unitId, this.#heldBy(unitId) + 1);
    waiter.run(off);
  }

  /** Gives them back to the arena; none may be in use. */
  close(): void {
    for (const off of this.#free) this.#io.buffers.release(off);
    this.#free.length = 0;
  }
}
