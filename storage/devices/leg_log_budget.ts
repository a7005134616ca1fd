import { assert } from "../../protocol/core/assert.ts";
import { LEG_LOG_CHUNK_BYTES, NBD_PAYLOAD_BYTES_MAX } from "../../protocol/core/limits.ts";

/** A log that has a part of the budget. */
export interface BudgetHolder {
  /** Bytes that it has; kept by the budget. */
  heldBytes: number;
  /** There may be room now, or others want some: called in a turn. */
  readonly roomChanged: () => void;
}

/**
 * The memory that all replay logs of a host share. It never grows: whoever finds none waits, and as
 * long as somebody waits, every log that holds something has its leg flush, which empties it.
 *
 * A unit that is away cannot flush, and must not take the room of disks whose units are there. So a
 * log is given no more when it holds as much as is free: one has half of it at most, two a third
 * each. The last part, the largest payload's size, is for logs that hold nothing. When that is in
 * use too, a log that holds nothing does without: its leg has each change made durable (LegQueue).
 */
export class LogBudget {
  readonly #bytesMax: number;
  readonly #lastBytes: number;
  #usedBytes = 0;
  readonly #holders: BudgetHolder[] = [];
  readonly #waiters: BudgetHolder[] = [];
  readonly #chunks: Uint8Array[] = [];

  /** `lastBytes` is less in tests. */
  constructor(bytesMax: number, lastBytes = NBD_PAYLOAD_BYTES_MAX) {
    assert(bytesMax >= 2 * lastBytes, "a budget has room for the largest payloads");
    this.#bytesMax = bytesMax;
    this.#lastBytes = lastBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Somebody waits for room: logs are to be emptied. */
  get isShort(): boolean {
    return this.#waiters.length > 0;
  }

  join(holder: BudgetHolder): void {
    this.#holders.push(holder);
  }

  /** It holds nothing any more. */
  leave(holder: BudgetHolder): void {
    assert(holder.heldBytes === 0, "who leaves has given everything back");
    remove(this.#holders, holder);
    remove(this.#waiters, holder);
  }

  /** False: there is no room for so much now. */
  take(holder: BudgetHolder, bytes: number): boolean {
    const free = this.#bytesMax - this.#usedBytes;
    const held = holder.heldBytes + bytes;
    const isShare = held <= free - bytes - this.#lastBytes;
    const isFirst = holder.heldBytes === 0 && bytes <= Math.min(free, this.#lastBytes);
    if (!isShare && !isFirst) return false;
    holder.heldBytes = held;
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(holder: BudgetHolder, bytes: number): void {
    if (bytes === 0) return;
    assert(bytes > 0 && bytes <= holder.heldBytes, "only what is held is given back");
    holder.heldBytes -= bytes;
    this.#usedBytes -= bytes;
    if (this.#waiters.length === 0) return;
    for (const waiter of this.#waiters.splice(0)) waiter.roomChanged();
  }

  /** `roomChanged` is called when there may be room; meanwhile the logs of all are flushed. */
  wait(holder: BudgetHolder): void {
    if (this.#waiters.includes(holder)) return;
    this.#waiters.push(holder);
    for (const other of this.#holders) if (other !== holder) other.roomChanged();
  }

  /** Memory for copies, of LEG_LOG_CHUNK_BYTES that the asker holds. */
  takeChunk(): Uint8Array {
    return this.#chunks.pop() ?? new Uint8Array(LEG_LOG_CHUNK_BYTES);
  }

  giveChunkBack(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
  }
}

function remove(list: BudgetHolder[], holder: BudgetHolder): void {
  const at = list.indexOf(holder);
  if (at >= 0) list.splice(at, 1);
}
