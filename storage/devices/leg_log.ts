import { assert } from "../../protocol/core/assert.ts";
import { LEG_LOG_BYTES_MAX, LEG_LOG_ENTRIES_MAX } from "../../protocol/core/limits.ts";
import { LEG_CELL } from "../counters/layout.ts";
import type { CounterRow } from "../counters/row.ts";
import { ReusedViews } from "./reused_views.ts";

/** One entry, as `ReplayLog.read` tells it; one object for each reader. */
export interface LoggedChange {
  /** COMMAND.write, writeZeroes or trim. */
  command: number;
  /** COMMAND_FLAGS to repeat it with. */
  flags: number;
  position: number;
  length: number;
}

/** A change as it is put into the log. */
export interface ChangeToLog extends Readonly<LoggedChange> {
  /** The data of a write, at `off` of `source`; not looked at for ranges without data. */
  readonly source: Uint8Array;
  readonly off: number;
  readonly hasData: boolean;
}

/**
 * What a leg was acknowledged since its last successful flush, in order: copies of the data of
 * writes, and ranges of zeroes and discards (data-path.md §5). A ring of bytes and a ring of
 * entries; both are bounded, and room is reserved before a change is sent, so that an acknowledged
 * change always fits.
 *
 * Entries have rising sequence numbers. `end` is the next one's; what a flush covers is what stood
 * before the `end` of the moment when it was sent.
 */
export class ReplayLog {
  readonly #capacityBytes: number;
  readonly #entriesMax: number;
  #data: Uint8Array | null = null;
  readonly #views = new ReusedViews();
  readonly #commands: Uint8Array;
  readonly #flags: Uint8Array;
  readonly #positions: Float64Array;
  readonly #lengths: Float64Array;
  /** Where an entry's data begins, as a count of all bytes ever logged. */
  readonly #starts: Float64Array;
  #begin = 0;
  #end = 0;
  #dataBegin = 0;
  #dataEnd = 0;
  #reservedEntries = 0;
  #reservedBytes = 0;

  constructor(options: { capacityBytes: number; entriesMax: number }) {
    this.#capacityBytes = options.capacityBytes;
    this.#entriesMax = options.entriesMax;
    this.#commands = new Uint8Array(options.entriesMax);
    this.#flags = new Uint8Array(options.entriesMax);
    this.#positions = new Float64Array(options.entriesMax);
    this.#lengths = new Float64Array(options.entriesMax);
    this.#starts = new Float64Array(options.entriesMax);
  }

  /** One of a leg's size; fewer bytes in tests. */
  static forLeg(capacityBytes = LEG_LOG_BYTES_MAX): ReplayLog {
    return new ReplayLog({ capacityBytes, entriesMax: LEG_LOG_ENTRIES_MAX });
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

  /** Writes to a leg's counters what is kept; ranges have no bytes. */
  show(row: CounterRow): void {
    row.set(LEG_CELL.keptBytes, this.#dataEnd - this.#dataBegin);
    row.set(LEG_CELL.keptChanges, this.#end - this.#begin);
  }

  get isHalfFull(): boolean {
    const bytes = this.#dataEnd - this.#dataBegin + this.#reservedBytes;
    const entries = this.#end - this.#begin + this.#reservedEntries;
    return bytes * 2 >= this.#capacityBytes || entries * 2 >= this.#entriesMax;
  }

  /** Keeps room for one change with so much data; false when there is none now. */
  reserve(dataBytes: number): boolean {
    assert(dataBytes <= this.#capacityBytes, "one change fits into the log");
    const bytes = this.#dataEnd - this.#dataBegin + this.#reservedBytes;
    const entries = this.#end - this.#begin + this.#reservedEntries;
    if (bytes + dataBytes > this.#capacityBytes || entries >= this.#entriesMax) return false;
    this.#reservedBytes += dataBytes;
    this.#reservedEntries++;
    return true;
  }

  /** Gives reserved room back: the change was refused. */
  unreserve(dataBytes: number): void {
    assert(this.#reservedEntries > 0 && this.#reservedBytes >= dataBytes, "it was reserved");
    this.#reservedBytes -= dataBytes;
    this.#reservedEntries--;
  }

  /** Puts an acknowledged change into the room that was reserved for it. */
  append(change: ChangeToLog): void {
    const dataBytes = change.hasData ? change.length : 0;
    this.unreserve(dataBytes);
    const slot = this.#end % this.#entriesMax;
    this.#commands[slot] = change.command;
    this.#flags[slot] = change.flags;
    this.#positions[slot] = change.position;
    this.#lengths[slot] = change.length;
    this.#starts[slot] = this.#dataEnd;
    if (dataBytes > 0) this.#copyIn(change.source, change.off, dataBytes);
    this.#dataEnd += dataBytes;
    this.#end++;
  }

  /** Forgets every entry with a sequence number below `mark`: it is durable. */
  releaseBefore(mark: number): void {
    assert(mark <= this.#end, "only what is in the log can be released");
    if (mark <= this.#begin) return;
    this.#begin = mark;
    if (mark < this.#end) {
      this.#dataBegin = this.#starts[mark % this.#entriesMax]!;
      return;
    }
    // Starts anew in front: memory further back is never touched by a disk that flushes often.
    this.#dataBegin = 0;
    this.#dataEnd = 0;
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
    const data = this.#data;
    assert(data !== null, "an entry with data was logged");
    const from = (this.#starts[sequence % this.#entriesMax]! + piece.skip) % this.#capacityBytes;
    const first = Math.min(piece.length, this.#capacityBytes - from);
    piece.target.set(data.subarray(from, from + first), piece.off);
    if (first < piece.length) {
      piece.target.set(data.subarray(0, piece.length - first), piece.off + first);
    }
  }

  #copyIn(source: Uint8Array, off: number, length: number): void {
    // Made at the first write: a disk that is only read needs no ring.
    this.#data ??= new Uint8Array(this.#capacityBytes);
    const to = this.#dataEnd % this.#capacityBytes;
    const first = Math.min(length, this.#capacityBytes - to);
    this.#data.set(this.#views.of(source, off, first), to);
    if (first < length) this.#data.set(source.subarray(off + first, off + length), 0);
  }
}
