import { fromUtf8 } from "../../protocol/core/bytes.ts";
import { COUNTER_NAME_BYTES, COUNTER_READS_MAX } from "../../protocol/core/limits.ts";
import { LATENCY_BUCKETS, LATENCY_CLASSES } from "../../protocol/core/counted.ts";
import {
  CELL,
  COUNTER_CELLS,
  type CounterMemory,
  HEAD,
  latencyCell,
  mapCounters,
  REQUEST_TYPES,
  ROW_KINDS,
  type RowKind,
} from "./layout.ts";

/** One row as it was read. */
export interface ReadRow {
  readonly kind: RowKind;
  readonly serial: number;
  readonly parent: number;
  readonly name: string;
  /** COUNTER_CELLS numbers; a copy. */
  readonly cells: Float64Array;
}

/**
 * Another thread's view of a data worker's counters. It takes no lock and stops nobody: a row that
 * is made, folded or freed meanwhile makes it read again, so a count is never seen twice or not at
 * all. Within a row each number is whole, but they are not of one instant: a request that ends
 * while its row is copied may be in its bytes and not yet in its latencies.
 */
export class CounterReader {
  readonly #memory: CounterMemory;
  #last: readonly ReadRow[] = [];

  constructor(buffer: SharedArrayBuffer) {
    this.#memory = mapCounters(buffer);
  }

  /** Times that somebody found no free row. */
  get crowded(): number {
    return Atomics.load(this.#memory.head, HEAD.crowded);
  }

  /** Every row in use. When rows come and go without a pause: those that were read last. */
  read(): readonly ReadRow[] {
    const { head } = this.#memory;
    for (let tries = 0; tries < COUNTER_READS_MAX; tries++) {
      const version = Atomics.load(head, HEAD.version);
      if (version % 2 !== 0) continue;
      const rows = this.#copy();
      if (Atomics.load(head, HEAD.version) !== version) continue;
      this.#last = rows;
      break;
    }
    return this.#last;
  }

  #copy(): ReadRow[] {
    const { head, cells, names, rows } = this.#memory;
    const top = Math.min(rows, Atomics.load(head, HEAD.top));
    const copied: ReadRow[] = [];
    for (let index = 0; index < top; index++) {
      const at = index * COUNTER_CELLS;
      const kind = ROW_KINDS[cells[at + CELL.kind]!];
      if (kind === undefined || kind === "free") continue;
      const own = cells.slice(at, at + COUNTER_CELLS);
      copied.push({
        kind,
        serial: own[CELL.serial]!,
        parent: own[CELL.parent]!,
        name: textOf(names, index),
        cells: own,
      });
    }
    return copied;
  }
}

function textOf(names: Uint8Array, index: number): string {
  const at = index * COUNTER_NAME_BYTES;
  // A copy: decoders do not take shared memory.
  const bytes = names.slice(at, at + COUNTER_NAME_BYTES);
  const end = bytes.indexOf(0);
  return fromUtf8(end < 0 ? bytes : bytes.subarray(0, end)) ?? "";
}

/** The rows of a kind, each with the counts of its open connections added to its own. */
export function rowsWithParts(rows: readonly ReadRow[], kind: RowKind): ReadRow[] {
  const wholes = new Map<number, ReadRow>();
  for (const row of rows) {
    if (row.kind === kind) wholes.set(row.serial, { ...row, cells: row.cells.slice() });
  }
  for (const part of rows) {
    const whole = part.kind === "connection" ? wholes.get(part.parent) : undefined;
    if (whole === undefined) continue;
    for (let cell = CELL.requests; cell < COUNTER_CELLS; cell++) {
      if (cell < CELL.own || cell >= CELL.latency) whole.cells[cell]! += part.cells[cell]!;
    }
  }
  return [...wholes.values()];
}

/** How many rows of a kind are parts of the row with this serial. */
export function partsOf(rows: readonly ReadRow[], serial: number, kind: RowKind): number {
  let count = 0;
  for (const row of rows) if (row.kind === kind && row.parent === serial) count++;
  return count;
}

/** Requests that were answered, with success or not. */
export function answeredOf(cells: Float64Array): number {
  let count = 0;
  for (let at = 0; at < LATENCY_CLASSES.length; at++) count += latencyCountOf(cells, at);
  return count;
}

/** Requests that are here and not answered. Never below 0, though its parts are read apart. */
export function inFlightOf(cells: Float64Array): number {
  const begun = sumOf(cells, CELL.requests, REQUEST_TYPES.length);
  return Math.max(0, begun - answeredOf(cells) - cells[CELL.dropped]!);
}

/** Of those, the ones that no device has: they wait for a buffer, a payload or their turn. */
export function queuedOf(cells: Float64Array): number {
  return Math.max(0, inFlightOf(cells) - Math.max(0, cells[CELL.submitted]!));
}

export function latencyCountOf(cells: Float64Array, latencyClass: number): number {
  return sumOf(cells, latencyCell(latencyClass), LATENCY_BUCKETS);
}

export function sumOf(cells: Float64Array, from: number, count: number): number {
  let sum = 0;
  for (let cell = from; cell < from + count; cell++) sum += cells[cell]!;
  return sum;
}
