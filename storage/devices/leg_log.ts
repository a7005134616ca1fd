import { assert } from "../../protocol/core/assert.ts";
import {
  LEG_LOG_BYTES_MAX,
  LEG_LOG_CHUNK_BYTES,
  LEG_LOG_ENTRIES_MAX,
} from "../../protocol/core/limits.ts";
import { LEG_CELL } from "../counters/layout.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Io, Off } from "../io/io.ts";
import type { BudgetHolder, LogBudget } from "./leg_log_budget.ts";
import { CopiedBytes } from "./leg_log_copies.ts";

/** One entry, as `ReplayLog.read` tells it; one object for each reader. */
export interface LoggedChange {
  /** COMMAND.write, writeZeroes or trim. */
  command: number;
  /** COMMAND_FLAGS to repeat it with. */
  flags: number;
  position: number;
  length: number;
}

/** A change that the log has room for. */
export interface ChangeToLog extends Readonly<LoggedChange> {
  /** Bytes of data: its length for a write, and none for a range of zeroes or a discard. */
  readonly logBytes: number;
  /** Where the data of a write is. */
  readonly off: Off;
  /** Its data stays where it is, and is not copied. The log's alone, from `reserve` on. */
  isKept: boolean;
}

/** Where payloads are. */
export type LogMemory = Pick<Io, "bytes" | "buffers">;

export interface LogOptions {
  readonly io: LogMemory;
  readonly budget: LogBudget;
  readonly capacityBytes: number;
  readonly entriesMax: number;
}

export interface LegLogOptions {
  /** What its log shares with those of other legs. */
  readonly logBudget: LogBudget;
  /** LEG_LOG_BYTES_MAX when not given; for tests. */
  readonly logBytes?: number;
}

/**
 * What a leg was acknowledged since its last successful flush, in order: the data of writes, and
 * ranges of zeroes and discards (data-path.md §5). Where the arena allows it, the buffer in which a
 * payload came is kept as it is, and nothing is copied; other payloads are copied. Bytes and
 * entries are bounded, here and for all logs of a host together (LogBudget), and room is taken
 * before a change is sent, so that an acknowledged change always fits.
 *
 * Entries have rising sequence numbers. `end` is the next one's; what a flush covers is what stood
 * before the `end` of the moment when it was sent.
 */
export class ReplayLog implements BudgetHolder {
  heldBytes = 0;
  /** Set by who reserves. */
  roomChanged: () => void = () => {};
  readonly #io: LogMemory;
  readonly #budget: LogBudget;
  readonly #capacityBytes: number;
  readonly #entriesMax: number;
  readonly #copies: CopiedBytes;
  readonly #commands: Uint8Array;
  readonly #flags: Uint8Array;
  readonly #places: Uint8Array;
  readonly #positions: Float64Array;
  readonly #lengths: Float64Array;
  /** Where an entry's data is: an offset of the arena if it is kept, else among the copies. */
  readonly #starts: Float64Array;
  #begin = 0;
  #end = 0;
  /** Of payloads whose buffers are kept; also of those that were only reserved. */
  #keptBytes = 0;
  #reservedEntries = 0;
  /** Of all that was reserved and not appended; and of what of it will be copied. */
  #reservedBytes = 0;
  #reservedCopies = 0;

  constructor(options: LogOptions) {
    const { entriesMax } = options;
    this.#io = options.io;
    this.#budget = options.budget;
    this.#capacityBytes = options.capacityBytes;
    this.#entriesMax = entriesMax;
    this.#copies = new CopiedBytes(options.budget, options.capacityBytes);
    this.#commands = new Uint8Array(entriesMax);
    this.#flags = new Uint8Array(entriesMax);
    this.#places = new Uint8Array(entriesMax);
    this.#positions = new Float64Array(entriesMax);
    this.#lengths = new Float64Array(entriesMax);
    this.#starts = new Float64Array(entriesMax);
    options.budget.join(this);
  }

  static forLeg(io: LogMemory, { logBudget, logBytes }: LegLogOptions): ReplayLog {
    const capacityBytes = logBytes ?? LEG_LOG_BYTES_MAX;
    const entriesMax = LEG_LOG_ENTRIES_MAX;
    return new ReplayLog({ io, budget: logBudget, capacityBytes, entriesMax });
  }

  /** Sequence number of the oldest entry. */
  get begin(): number {
    return this.#begin;
  }

  /** Sequence number that the next entry gets. */
  get end(): number {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#begin === this.#end;
  }

  /** Nothing is in it, and no room is reserved. */
  get holdsNothing(): boolean {
    return this.#entries === 0;
  }

  /** Of payloads in it, and of those that were reserved. */
  get #bytes(): number {
    return this.#keptBytes + this.#copies.bytes + this.#reservedCopies;
  }

  get #entries(): number {
    return this.#end - this.#begin + this.#reservedEntries;
  }

  /** Writes to a leg's counters what is kept; ranges have no bytes. */
  show(row: CounterRow): void {
    row.set(LEG_CELL.keptBytes, this.#bytes - this.#reservedBytes);
    row.set(LEG_CELL.keptChanges, this.#end - this.#begin);
  }

  /** It is to be emptied: it is half full, or others wait for room. */
  get isFlushDue(): boolean {
    if (this.#budget.isShort) return true;
    return this.#bytes * 2 >= this.#capacityBytes || this.#entries * 2 >= this.#entriesMax;
  }

  /**
   * Takes room for one change; false when there is none now: `roomChanged` follows. Its data is
   * the log's from here on, if it is kept.
   */
  reserve(change: ChangeToLog): boolean {
    const { logBytes } = change;
    assert(logBytes <= this.#capacityBytes, "one change fits into the log");
    if (this.#bytes + logBytes > this.#capacityBytes || this.#entries >= this.#entriesMax) {
      return false;
    }
    change.isKept = logBytes > 0 && this.#io.buffers.keep(change.off, logBytes);
    if (change.isKept) this.#keptBytes += logBytes;
    else this.#reservedCopies += logBytes;
    this.#reservedBytes += logBytes;
    this.#reservedEntries++;
    if (this.#settle()) return true;
    this.unreserve(change);
    this.#budget.wait(this);
    return false;
  }

  /** Gives reserved room back: the change was refused. */
  unreserve(change: ChangeToLog): void {
    this.#unreserve(change);
    if (change.isKept) this.#letGo(change.off, change.logBytes);
    change.isKept = false;
    this.#settle();
  }

  #unreserve({ isKept, logBytes }: ChangeToLog): void {
    assert(this.#reservedEntries > 0 && this.#reservedBytes >= logBytes, "it was reserved");
    this.#reservedBytes -= logBytes;
    if (!isKept) this.#reservedCopies -= logBytes;
    this.#reservedEntries--;
  }

  /** Puts an acknowledged change into the room that was reserved for it. */
  append(change: ChangeToLog): void {
    const { isKept, logBytes } = change;
    this.#unreserve(change);
    change.isKept = false;
    const slot = this.#end % this.#entriesMax;
    this.#commands[slot] = change.command;
    this.#flags[slot] = change.flags;
    this.#positions[slot] = change.position;
    this.#lengths[slot] = change.length;
    this.#places[slot] = isKept ? KEPT : logBytes > 0 ? COPIED : WITHOUT_DATA;
    if (isKept) this.#starts[slot] = change.off;
    else if (logBytes > 0) {
      this.#starts[slot] = this.#copies.append(this.#io.bytes, change.off, logBytes);
    }
    this.#end++;
  }

  /** Forgets every entry with a sequence number below `mark`: it is durable. */
  releaseBefore(mark: number): void {
    assert(mark <= this.#end, "only what is in the log can be released");
    if (mark <= this.#begin) return;
    let copiesEnd = -1;
    for (let sequence = this.#begin; sequence < mark; sequence++) {
      const slot = sequence % this.#entriesMax;
      const start = this.#starts[slot]!;
      const length = this.#lengths[slot]!;
      if (this.#places[slot] === KEPT) this.#letGo(start, length);
      else if (this.#places[slot] === COPIED) copiesEnd = start + length;
    }
    this.#begin = mark;
    if (copiesEnd >= 0) this.#copies.releaseTo(copiesEnd);
    this.#settle();
  }

  /** Forgets all of it, and gives its part of the budget back; nothing is reserved. */
  close(): void {
    this.releaseBefore(this.#end);
    this.#budget.leave(this);
  }

  /** Tells the entry of a sequence number between `begin` and `end`. */
  read(sequence: number, into: LoggedChange): void {
    assert(sequence >= this.#begin && sequence < this.#end, "the entry is in the log");
    const slot = sequence % this.#entriesMax;
    into.command = this.#commands[slot]!;
    into.flags = this.#flags[slot]!;
    into.position = this.#positions[slot]!;
    into.length = this.#lengths[slot]!;
  }

  /** Copies `length` bytes of an entry's data, from `skip` on, to `off` of `target`. */
  copyOut(
    sequence: number,
    piece: { skip: number; length: number; target: Uint8Array; off: number },
  ): void {
    assert(sequence >= this.#begin && sequence < this.#end, "the entry is in the log");
    const slot = sequence % this.#entriesMax;
    const { skip, length, target, off } = piece;
    const from = this.#starts[slot]! + skip;
    if (this.#places[slot] === KEPT) target.set(this.#io.bytes.subarray(from, from + length), off);
    else this.#copies.copyOut({ from, length, target, off });
  }

  #letGo(off: Off, bytes: number): void {
    this.#keptBytes -= bytes;
    this.#io.buffers.unkeep(off);
  }

  /** Has of the budget what is needed; false when it cannot get that. */
  #settle(): boolean {
    const chunks = this.#copies.chunksFor(this.#reservedCopies);
    const missing = this.#keptBytes + chunks * LEG_LOG_CHUNK_BYTES - this.heldBytes;
    if (missing > 0) return this.#budget.take(this, missing);
    this.#budget.giveBack(this, -missing);
    return true;
  }
}

/** Where the data of an entry is. */
const WITHOUT_DATA = 0;
const COPIED = 1;
const KEPT = 2;
