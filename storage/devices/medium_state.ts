import { assert } from "../../protocol/core/assert.ts";
import { LATENCY_US_MAX } from "../../protocol/core/limits.ts";
import { MEDIUM_CELL, TYPE } from "../counters/layout.ts";
import { CounterRow } from "../counters/row.ts";
import type { Handle, Io, TurnTask } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { KnownZeroes } from "./known_zeroes.ts";
import { UnsyncedChunks } from "./unsynced_chunks.ts";

const EIO = 5;

/**
 * What all users of an open medium share (data-path.md §5), and the one place that syncs it. Linux
 * reports a lost writeback once for an open file, to whichever sync or O_DSYNC write comes first;
 * one that runs beside it is told nothing. So:
 *
 * - One sync is under way at a time. Who asks meanwhile waits for the next one, since that which
 *   runs does not cover a write that was done after it began. All who wait share one.
 * - Nobody writes with O_DSYNC. A durable write is a write, and then its share of a sync. Hence an
 *   error of the write itself (ENOSPC, EIO) is one of a write that never became dirty pages, and
 *   is its writer's alone; a writeback that fails is reported to a sync, and to everybody.
 * - The first failed sync poisons the medium: all who wait fail, and so does every later FLUSH and
 *   FUA for as long as this object lives, that is until the medium is opened anew. A later sync
 *   that succeeds would lie.
 * - The kernel may drop pages that it could not write back at any time, and then a read shows what
 *   was there before. So what was changed since the last good sync is not read from a poisoned
 *   medium any more; the rest is.
 */
export class MediumState implements TurnTask {
  /**
   * Changes that ended on the medium, counted before anybody hears of them. Failed ones too: they
   * may have changed a part of what they were to change.
   */
  changes = 0;
  /**
   * Of those, the ones that a sync that succeeded is known to cover. Below zero until the first
   * one: a process before this one may have acknowledged writes that nobody has synced yet.
   */
  synced = -1;
  /** For the Io: the next sync is to begin at the end of the turn. */
  queued = false;
  /** Hears of every failure that a device met, and of every failed sync. */
  onFailed: (failure: MediumFailure) => void;
  /** Of a block device; null: the file system knows. */
  readonly zeroes: KnownZeroes | null;
  readonly #unsynced: UnsyncedChunks;
  readonly #io: Io;
  readonly #handle: Handle;
  readonly #operation = new Operation(() => this.#done());
  /** Who waits for the sync that is under way, and who for the one after it. */
  #joined = new OperationQueue();
  #waiting = new OperationQueue();
  #running = false;
  /** `changes` when the sync that is under way began. */
  #covers = 0;
  readonly #since = new Since();
  #counters = CounterRow.unread();
  #errorCount = 0;
  #poisoned = false;
  /** Once poisoned: nothing on it can be relied on, whenever it was written. */
  #isLostAsWhole = false;

  constructor(
    on: {
      readonly io: Io;
      readonly handle: Handle;
      readonly sizeBytes: number;
      readonly zeroes?: KnownZeroes | null;
    },
    onFailed: (failure: MediumFailure) => void = () => {},
  ) {
    this.#io = on.io;
    this.#handle = on.handle;
    this.zeroes = on.zeroes ?? null;
    this.#unsynced = new UnsyncedChunks(on.sizeBytes);
    this.onFailed = onFailed;
  }

  /** Failed operations since it was opened; part of an export's verifier. */
  get errorCount(): number {
    return this.#errorCount;
  }

  /** Nothing on it may be called durable any more. */
  get poisoned(): boolean {
    return this.#poisoned;
  }

  /** A change has ended that no sync covers yet. */
  get needsSync(): boolean {
    return this.synced < this.changes;
  }

  /** It is found not to be what was opened, or was poisoned by a process before this one. */
  poison(): void {
    this.#isLostAsWhole = true;
    this.#poison();
  }

  #poison(): void {
    this.#poisoned = true;
    this.zeroes?.forget();
    this.#counters.set(MEDIUM_CELL.poisoned, 1);
  }

  /** For its users: a change of this range begins. */
  changing(position: number, length: number): void {
    this.#unsynced.changed(position, length);
  }

  /** It has ended, with success or not, and nobody has heard of it. */
  changed(position: number, length: number): void {
    this.changes++;
    this.#unsynced.changed(position, length);
  }

  /** What is read there may be older than what was acknowledged, now or by and by. */
  mayBeLost(position: number, length: number): boolean {
    if (!this.#poisoned) return false;
    return this.#isLostAsWhole || this.#unsynced.touches(position, length);
  }

  /** Its operations are counted in this row from now on. */
  countInto(row: CounterRow): void {
    this.#counters = row;
    row.set(MEDIUM_CELL.poisoned, this.#poisoned ? 1 : 0);
  }

  /** For its users: an operation of this TYPE is submitted. */
  began(type: number, since: Since): void {
    this.#counters.begin(type);
    this.#counters.submitted();
    since.ms = this.#io.preciseMs;
  }

  /** It ended, with the bytes that it was about or a negated errno. */
  ended(type: number, since: Since, result: number): void {
    const latencyUs = Math.min((this.#io.preciseMs - since.ms) * 1000, LATENCY_US_MAX) | 0;
    this.#counters.completed();
    if (result >= 0) this.#counters.end(type, result, latencyUs);
    else this.#counters.fail(type, -result, latencyUs);
  }

  /** For its users: an operation failed with a positive errno. */
  failed(during: MediumFailure["during"], errno: number): void {
    this.#errorCount++;
    if (during === "sync") {
      // What a process before this one has written is only known to be there after a sync.
      if (this.synced < 0) this.#isLostAsWhole = true;
      this.#poison();
    }
    this.onFailed({ during, errno, poisoned: this.#poisoned, errorCount: this.#errorCount });
  }

  /**
   * Ends with 0 once every change that ended before this call is durable, or with a negated errno.
   * Begins nothing before the end of the turn, so that whatever else ends in it is covered too.
   */
  sync(operation: Operation): void {
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    this.#waiting.push(operation);
    this.#counters.set(MEDIUM_CELL.waiting, this.#waiting.length);
    if (!this.#running) this.#io.atTurnEnd(this);
  }

  /** For the Io. */
  run(): void {
    // With nothing new since the sync that ended last, that one covers them too.
    if (this.#poisoned || !this.needsSync) {
      this.#counters.set(MEDIUM_CELL.waiting, 0);
      return this.#end(this.#waiting, 0);
    }
    const joined = this.#waiting;
    this.#waiting = this.#joined;
    this.#joined = joined;
    this.#running = true;
    this.#covers = this.changes;
    this.#unsynced.syncBegan();
    this.#counters.set(MEDIUM_CELL.waiting, 0);
    this.began(TYPE.flush, this.#since);
    this.#io.sync(this.#operation, this.#handle);
  }

  #done(): void {
    const { result } = this.#operation;
    this.#running = false;
    this.ended(TYPE.flush, this.#since, result);
    if (result < 0) this.failed("sync", -result);
    else {
      this.synced = Math.max(this.synced, this.#covers);
      this.#unsynced.syncSucceeded();
    }
    if (!this.#waiting.empty) this.#io.atTurnEnd(this);
    this.#end(this.#joined, result);
  }

  /** Each may ask again as it ends; it is then behind those that are ended here. */
  #end(queue: OperationQueue, result: number): void {
    const outcome = this.#poisoned && result >= 0 ? -EIO : result;
    for (let left = queue.length; left > 0; left--) {
      const operation = queue.shift();
      operation.busy = false;
      operation.result = outcome;
      operation.done(operation);
    }
  }
}

/** When an operation began. What it is kept in, since a fraction that is handed on is garbage. */
export class Since {
  ms = 0;
}

/** Operations in order, linked through themselves: they are with no Io meanwhile. */
class OperationQueue {
  length = 0;
  #first: Operation | null = null;
  #last: Operation | null = null;

  get empty(): boolean {
    return this.length === 0;
  }

  push(operation: Operation): void {
    operation.ioNext = null;
    if (this.#last === null) this.#first = operation;
    else this.#last.ioNext = operation;
    this.#last = operation;
    this.length++;
  }

  shift(): Operation {
    const operation = this.#first;
    assert(operation !== null, "a queue has as many operations as it counts");
    this.#first = operation.ioNext;
    if (this.#first === null) this.#last = null;
    operation.ioNext = null;
    this.length--;
    return operation;
  }
}

export interface MediumFailure {
  /** "sync": what was written before, by whomever, may be lost. */
  readonly during: "read" | "write" | "sync" | "discard" | "zero";
  readonly errno: number;
  readonly poisoned: boolean;
  readonly errorCount: number;
}
