import { LEG_LOG_CHUNK_BYTES } from "../../protocol/core/limits.ts";
import type { LogBudget } from "./leg_log_budget.ts";
import { ReusedViews } from "./reused_views.ts";

/** A part of what was copied. */
export interface CopyPiece {
  /** What `append` answered, and so many bytes behind it. */
  readonly from: number;
  readonly length: number;
  readonly target: Uint8Array;
  readonly off: number;
}

/**
 * Bytes in the order in which they were put in, in chunks of the budget's memory. Positions count
 * all bytes since it was empty. Room is reserved before: `chunksFor` says how much it takes.
 */
export class CopiedBytes {
  readonly #budget: LogBudget;
  readonly #views = new ReusedViews();
  /** A ring: the chunk of a position stands at its number, modulo the length. */
  readonly #chunks: (Uint8Array | null)[];
  #begin = 0;
  #end = 0;

  constructor(budget: LogBudget, capacityBytes: number) {
    this.#budget = budget;
    // A part of a chunk at each end.
    const count = Math.ceil(capacityBytes / LEG_LOG_CHUNK_BYTES) + 2;
    this.#chunks = new Array<Uint8Array | null>(count).fill(null);
  }

  get bytes(): number {
    return this.#end - this.#begin;
  }

  /** Chunks that it has with `more` bytes in it. */
  chunksFor(more: number): number {
    return Math.ceil((this.#end + more) / LEG_LOG_CHUNK_BYTES) - chunkOf(this.#begin);
  }

  /** The position of the first of the bytes. */
  append(source: Uint8Array, off: number, length: number): number {
    const position = this.#end;
    for (let done = 0; done < length;) {
      const at = (position + done) % LEG_LOG_CHUNK_BYTES;
      const count = Math.min(length - done, LEG_LOG_CHUNK_BYTES - at);
      const slot = chunkOf(position + done) % this.#chunks.length;
      const chunk = this.#chunks[slot] ??= this.#budget.takeChunk();
      chunk.set(this.#views.of(source, off + done, count), at);
      done += count;
    }
    this.#end += length;
    return position;
  }

  copyOut({ from, length, target, off }: CopyPiece): void {
    for (let done = 0; done < length;) {
      const at = (from + done) % LEG_LOG_CHUNK_BYTES;
      const count = Math.min(length - done, LEG_LOG_CHUNK_BYTES - at);
      const chunk = this.#chunks[chunkOf(from + done) % this.#chunks.length]!;
      target.set(chunk.subarray(at, at + count), off + done);
      done += count;
    }
  }

  /** Forgets everything before `position`. */
  releaseTo(position: number): void {
    const isEmpty = position === this.#end;
    const endChunk = isEmpty ? this.chunksFor(0) + chunkOf(this.#begin) : chunkOf(position);
    for (let number = chunkOf(this.#begin); number < endChunk; number++) {
      const slot = number % this.#chunks.length;
      const chunk = this.#chunks[slot]!;
      this.#chunks[slot] = null;
      this.#budget.giveChunkBack(chunk);
    }
    // Empty, it starts anew in front, with whole chunks.
    this.#begin = isEmpty ? 0 : position;
    if (isEmpty) this.#end = 0;
  }
}

function chunkOf(position: number): number {
  return Math.floor(position / LEG_LOG_CHUNK_BYTES);
}
