import { assert, defined } from "../../protocol/core/assert.ts";
import { COUNTER_NAME_BYTES } from "../../protocol/core/limits.ts";
import {
  CELL,
  COUNTER_CELLS,
  type CounterMemory,
  HEAD,
  mapCounters,
  newCounterMemory,
  ROW_KINDS,
  type RowKind,
} from "./layout.ts";
import { counterName } from "./names.ts";
import { CounterRow } from "./row.ts";

export interface RowOptions {
  readonly kind: Exclude<RowKind, "free" | "others">;
  /** As `counterName` cuts it where it is too long for its place. */
  readonly name: string;
  /** What it is a part of, and what its counts go to when it is removed. */
  readonly parent?: CounterRow;
  readonly nowMs: number;
}

/**
 * The data worker's end of the counters: makes and removes rows, which is cold. It and the rows it
 * makes are the memory's single writer. A thing that finds no free row counts into its parent's,
 * or into the one row of all others, so no request is ever left out.
 */
export class CounterTable {
  readonly #memory: CounterMemory;
  /** Index of each row's memory, by the row; only rows of their own are here. */
  readonly #indexes = new Map<CounterRow, number>();
  readonly #parents = new Map<CounterRow, CounterRow>();
  readonly #free: number[] = [];
  readonly #others: CounterRow;
  #lastSerial = 0;
  #lastConnection = 0;

  /** Memory of its own when none is given, for tests. */
  constructor(buffer: SharedArrayBuffer = newCounterMemory()) {
    this.#memory = mapCounters(buffer);
    assert(this.#memory.rows > 1, "counters have room for rows");
    this.#others = this.#change(() => this.#make("others", { name: "", nowMs: 0 }));
  }

  /** Rows in use. */
  get size(): number {
    return this.#indexes.size;
  }

  /** A number that no connection of this process has had, of whichever server, for log and name. */
  nextConnection(): number {
    return ++this.#lastConnection;
  }

  add(options: RowOptions): CounterRow {
    const { top } = HEAD;
    if (this.#free.length === 0 && this.#memory.head[top]! >= this.#memory.rows) {
      this.#change(() => this.#memory.head[HEAD.crowded]!++);
      return this.#shared(options.parent ?? this.#others);
    }
    return this.#change(() => this.#make(options.kind, options));
  }

  /**
   * Folds its counts into its parent's, so that the parent's sums never fall, and gives the row
   * back. Harmless for a row that is shared or was removed.
   */
  remove(row: CounterRow): void {
    const index = this.#indexes.get(row);
    if (index === undefined) return;
    const parent = this.#parents.get(row);
    this.#indexes.delete(row);
    this.#parents.delete(row);
    this.#change(() => {
      if (parent !== undefined) fold(row, parent);
      this.#memory.cells[index * COUNTER_CELLS + CELL.kind] = 0;
    });
    this.#free.push(index);
  }

  /** Counts where `row` does, and is not given back with it. */
  #shared(row: CounterRow): CounterRow {
    const index = this.#indexes.get(row) ?? this.#indexes.get(this.#others);
    return new CounterRow(
      this.#memory.cells,
      defined(index, "the row of all others is there") * COUNTER_CELLS,
    );
  }

  #make(kind: RowKind, options: Omit<RowOptions, "kind">): CounterRow {
    const { head, cells, names } = this.#memory;
    const index = this.#free.pop() ?? head[HEAD.top]!++;
    const at = index * COUNTER_CELLS;
    const { parent } = options;
    cells.fill(0, at, at + COUNTER_CELLS);
    const row = new CounterRow(cells, at);
    row.set(CELL.serial, ++this.#lastSerial);
    row.set(CELL.parent, parent?.get(CELL.serial) ?? 0);
    row.set(CELL.sinceMs, options.nowMs);
    row.set(CELL.kind, ROW_KINDS.indexOf(kind));
    const name = counterName(options.name);
    const nameAt = index * COUNTER_NAME_BYTES;
    names.fill(0, nameAt, nameAt + COUNTER_NAME_BYTES);
    names.set(name, nameAt);
    this.#indexes.set(row, index);
    if (parent !== undefined) this.#parents.set(row, parent);
    return row;
  }

  /** Readers take nothing for true that they read while this runs. */
  #change<T>(run: () => T): T {
    const { head } = this.#memory;
    Atomics.add(head, HEAD.version, 1);
    try {
      return run();
    } finally {
      Atomics.add(head, HEAD.version, 1);
    }
  }
}

/** Its own cells are gauges of the thing that went; they have no meaning for the parent. */
function fold(from: CounterRow, to: CounterRow): void {
  for (let cell = CELL.requests; cell < COUNTER_CELLS; cell++) {
    if (cell < CELL.own || cell >= CELL.latency) to.add(cell, from.get(cell));
  }
}
