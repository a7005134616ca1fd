import type { Change } from "./catalog.ts";
import { sumOf } from "./row_sums.ts";
import { keyOf, type MetaRow } from "./rows.ts";

const COMMITS_KEY = "commits";
const CONTENT_KEY = "content";
const WRAP = 1n << 64n;
/** Figures, and what people read: a catalog that lost some of them is not behind. */
const UNCOUNTED: ReadonlySet<string> = new Set(["tasks", "observed", "taskLogs", "events"]);

type Held = Readonly<Record<string, ReadonlyMap<string, object>>>;
type Counted = Exclude<Change, { readonly append: unknown }>;
type Marking = Extract<Change, { readonly table: "meta"; readonly put: MetaRow }>;

/**
 * What every commit of what is wanted writes besides: how many there were, and the sum of all
 * records' checksums. A record's own checksum tells whether it is right and not whether it is the
 * newest: only all together show that a file was put together of two copies, as by yesterday's file
 * beside today's write-ahead log. The sum names the commit that it is of: earlier versions count
 * commits and know no sum, so one of before their last commit tells nothing.
 */
export class CommitMarks {
  readonly #sums = new Map<string, bigint>();
  readonly #meta: ReadonlyMap<string, MetaRow>;
  readonly #isWhole: boolean;
  #total = 0n;
  #least = 0;

  /** Of the records that the file holds, which change with it. */
  constructor(held: Held) {
    for (const [table, rows] of Object.entries(held)) {
      if (UNCOUNTED.has(table)) continue;
      for (const [key, row] of rows) this.#put(table, key, row);
    }
    this.#meta = held["meta"] as ReadonlyMap<string, MetaRow>;
    const written = this.#meta.get(CONTENT_KEY)?.value;
    // A catalog of before has none.
    const isOfLast = Number(/^(\d+) /.exec(written ?? "")?.[1] ?? "-1") >= this.commits;
    this.#isWhole = !isOfLast || written === this.#text(this.commits);
  }

  /** Whether the records are all of one moment. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** How many commits of what is wanted there were: a copy of before has fewer. */
  get commits(): number {
    return Math.max(this.#least, countOf(this.#meta.get(COMMITS_KEY)));
  }

  /** There were as many at least, of which this file may have lost some. */
  countFrom(least: number): void {
    this.#least = least;
  }

  /** The marks to write with these changes, if there are any; `undo` when they were not written. */
  next(changes: readonly Change[]): { readonly marks: readonly Change[]; undo(): void } {
    const counted = changes.filter(isCounted);
    if (counted.length === 0) return { marks: [], undo: () => {} };
    const commits = this.commits + 1;
    const count = markOf(COMMITS_KEY, String(commits));
    const undos = [...counted, count].map((change) =>
      "put" in change
        ? this.#put(change.table, keyOf(change.table, change.put), change.put)
        : this.#put(change.table, change.remove, null)
    );
    return {
      marks: [count, markOf(CONTENT_KEY, this.#text(commits))],
      undo: () => undos.reverse().forEach((undo) => undo()),
    };
  }

  #text(commits: number): string {
    return `${commits} ${this.#total.toString(16).padStart(16, "0")}`;
  }

  /** Null: it is gone. Returns what takes that back. */
  #put(table: string, key: string, row: object | null): () => void {
    const name = `${table} ${key}`;
    // It cannot be of the sum that it tells.
    if (name === `meta ${CONTENT_KEY}`) return () => {};
    const before = this.#sums.get(name);
    this.#set(name, row === null ? undefined : BigInt(`0x${sumOf(table, row)}`));
    return () => this.#set(name, before);
  }

  #set(name: string, sum: bigint | undefined): void {
    const change = (sum ?? 0n) - (this.#sums.get(name) ?? 0n);
    this.#total = (this.#total + change + WRAP) % WRAP;
    if (sum === undefined) this.#sums.delete(name);
    else this.#sums.set(name, sum);
  }
}

function isCounted(change: Change): change is Counted {
  return !UNCOUNTED.has(change.table);
}

function markOf(key: string, value: string): Marking {
  return { table: "meta", put: { key, value } };
}

function countOf(row: MetaRow | undefined): number {
  const count = Number(row?.value ?? "0");
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}
