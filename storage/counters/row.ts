import { ERROR_KINDS, LATENCY_BUCKETS } from "../../protocol/core/counted.ts";
import { CELL, COUNTER_CELLS, latencyCell, latencyClassOf } from "./layout.ts";

const OTHER_ERROR = ERROR_KINDS.length - 1;

/** Cell of each errno below 128, relative to CELL.errors. */
const ERROR_CELLS: Uint8Array = Uint8Array.from({ length: 128 }, (_, errno) => {
  const known = ERROR_KINDS.findIndex((kind) => kind.errno === errno && errno > 0);
  return known >= 0 ? known : OTHER_ERROR;
});

/**
 * The counters of one thing, for its single writer. Its methods are a few stores each and allocate
 * nothing. Of a request, `begin` comes once, and then `end` or `drop` once.
 *
 * Times are whole microseconds: a fraction that is handed to a function is garbage wherever the
 * compiler does not put that function into its caller, which it decides anew in each run.
 */
export class CounterRow {
  readonly #cells: Float64Array;
  readonly #at: number;

  constructor(cells: Float64Array, at: number) {
    this.#cells = cells;
    this.#at = at;
  }

  /** A row that nobody reads: for tests, and for what is not worth counting. */
  static unread(): CounterRow {
    return new CounterRow(new Float64Array(COUNTER_CELLS), 0);
  }

  /** A request of this TYPE came. */
  begin(type: number): void {
    this.#cells[this.#at + CELL.requests + type]!++;
  }

  /** It was answered with success after `latencyUs`, and moved `bytes`. */
  end(type: number, bytes: number, latencyUs: number): void {
    this.#cells[this.#at + CELL.bytes + type]! += bytes;
    this.#took(type, latencyUs);
  }

  /** It was answered with an error: a positive errno, of the wire or of Linux. */
  fail(type: number, errno: number, latencyUs: number): void {
    const kind = errno < 128 ? ERROR_CELLS[errno]! : OTHER_ERROR;
    this.#cells[this.#at + CELL.errors + kind]!++;
    this.#took(type, latencyUs);
  }

  /** It will not be answered. */
  drop(): void {
    this.#cells[this.#at + CELL.dropped]!++;
  }

  /** A device has it, and then has it no more. */
  submitted(): void {
    this.#cells[this.#at + CELL.submitted]!++;
  }

  completed(): void {
    this.#cells[this.#at + CELL.submitted]!--;
  }

  add(cell: number, change: number): void {
    this.#cells[this.#at + cell]! += change;
  }

  /** For cells that one owner alone writes. */
  set(cell: number, value: number): void {
    this.#cells[this.#at + cell] = value;
  }

  get(cell: number): number {
    return this.#cells[this.#at + cell]!;
  }

  #took(type: number, latencyUs: number): void {
    const at = this.#at + latencyCell(latencyClassOf(type));
    this.#cells[at + latencyBucket(latencyUs)]!++;
    this.#cells[at + LATENCY_BUCKETS]! += latencyUs / 1000;
  }
}

/** The first bucket whose bound is not below `latencyUs`. */
export function latencyBucket(latencyUs: number): number {
  if (latencyUs <= 10) return 0;
  if (latencyUs > 10 * 2 ** 20) return LATENCY_BUCKETS - 1;
  return 32 - Math.clz32(Math.ceil(latencyUs / 10) - 1);
}
