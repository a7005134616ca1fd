import { assert } from "../../protocol/core/assert.ts";
import { UNSYNCED_CHUNK_BYTES } from "../../protocol/core/limits.ts";

/**
 * Which chunks of a medium were changed and are not known to be synced: a bit for each, twice. A
 * sync covers what had ended when it began, so what changes while it runs is kept apart.
 */
export class UnsyncedChunks {
  readonly #sizeBytes: number;
  /** Changed since the latest sync began. */
  #since: ChunkBits;
  /** What that sync covers when it succeeds; empty once it did. */
  #covered: ChunkBits;

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
    const words = Math.ceil(sizeBytes / UNSYNCED_CHUNK_BYTES / 32);
    this.#since = new ChunkBits(words);
    this.#covered = new ChunkBits(words);
  }

  /** For a change that begins, and again when it has ended, with success or not. */
  changed(position: number, length: number): void {
    if (length === 0) return;
    assert(position >= 0 && position + length <= this.#sizeBytes, "a change outside a medium");
    const last = Math.floor((position + length - 1) / UNSYNCED_CHUNK_BYTES);
    let chunk = Math.floor(position / UNSYNCED_CHUNK_BYTES);
    for (; chunk <= last; chunk++) this.#since.set(chunk);
  }

  /** The one before it has succeeded: after a sync that failed there is none. */
  syncBegan(): void {
    const covered = this.#since;
    this.#since = this.#covered;
    this.#covered = covered;
  }

  syncSucceeded(): void {
    this.#covered.clear();
  }

  /** Something in the range was changed, and no sync that succeeded covers it. */
  touches(position: number, length: number): boolean {
    const last = Math.floor((position + length - 1) / UNSYNCED_CHUNK_BYTES);
    let chunk = Math.floor(position / UNSYNCED_CHUNK_BYTES);
    for (; chunk <= last; chunk++) {
      if (this.#since.has(chunk) || this.#covered.has(chunk)) return true;
    }
    return false;
  }
}

/** Clearing costs what lies between the first and the last one that was set. */
class ChunkBits {
  readonly #words: Uint32Array;
  #first = Infinity;
  #last = -1;

  constructor(words: number) {
    this.#words = new Uint32Array(words);
  }

  set(chunk: number): void {
    const word = chunk >>> 5;
    this.#words[word]! |= 1 << (chunk & 31);
    if (word < this.#first) this.#first = word;
    if (word > this.#last) this.#last = word;
  }

  has(chunk: number): boolean {
    return (this.#words[chunk >>> 5]! & (1 << (chunk & 31))) !== 0;
  }

  clear(): void {
    if (this.#last >= 0) this.#words.fill(0, this.#first, this.#last + 1);
    this.#first = Infinity;
    this.#last = -1;
  }
}
