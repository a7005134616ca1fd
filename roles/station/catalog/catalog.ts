import type { Kysely } from "kysely";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import { CommitMarks } from "./commit_marks.ts";
import { type CopiedHistory, copyHistory } from "./history.ts";
import { withoutSum } from "./row_sums.ts";
import { invalidRow } from "./row_schemas.ts";
import {
  type DiskRow,
  type EventRow,
  type GrantRow,
  keyOf,
  type KEYS,
  type MetaRow,
  type NodeRow,
  type ObservedRow,
  type Tables,
  type TaskLogRow,
  type TaskRow,
  type TombstoneRow,
  type VolumeRow,
} from "./rows.ts";
import { troubleOf } from "./sqlite.ts";
import { writeAll } from "./writing.ts";

type Held = keyof typeof KEYS;

export type Change =
  | { readonly [T in Held]: { readonly table: T; readonly put: Tables[T] } }[Held]
  | { readonly table: Held; readonly remove: string }
  | { readonly table: "taskLogs"; readonly append: TaskLogRow }
  /** All lines of a task. */
  | { readonly table: "taskLogs"; readonly remove: string }
  | { readonly table: "events"; readonly append: EventRow };

interface Waiting {
  readonly changes: readonly Change[];
  /** Takes the changes back in memory. */
  readonly undo: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

type Rows<T extends Held> = Map<string, Tables[T]>;

/**
 * Desired state: all of it in memory, every change durable in SQLite before its promise resolves.
 * Memory changes at once, so that two requests never promise the same space; what is committed in
 * the meantime shares one transaction. Whoever acts on the outside does so in `whenDurable()`.
 * When the database refuses, everything not yet durable is taken back and refused.
 */
export class Catalog {
  #database: Kysely<Tables>;
  readonly #rows: { readonly [T in Held]: Rows<T> };
  #queue: Waiting[] = [];
  #pumping: Promise<void> | null = null;
  readonly #marks: CommitMarks;
  #counted: (commits: number) => void = () => {};

  private constructor(database: Kysely<Tables>, rows: { readonly [T in Held]: Rows<T> }) {
    this.#database = database;
    this.#rows = rows;
    this.#marks = new CommitMarks(rows);
  }

  /** Reads every held table; rejects when one cannot be read or has a record that is wrong. */
  static async load(database: Kysely<Tables>): Promise<Catalog> {
    const read = async <T extends Held>(table: T): Promise<Rows<T>> => {
      const rows = await database.selectFrom(table as Held).selectAll().execute();
      return new Map(
        (rows as unknown as Tables[T][]).map((found) => {
          const row = rightRow(table, found);
          return [keyOf(table, row), row];
        }),
      );
    };
    const catalog = new Catalog(database, {
      meta: await read("meta"),
      nodes: await read("nodes"),
      disks: await read("disks"),
      volumes: await read("volumes"),
      grants: await read("grants"),
      tombstones: await read("tombstones"),
      tasks: await read("tasks"),
      observed: await read("observed"),
    });
    if (!catalog.#marks.isWhole) {
      throw new DvsanError(
        "io",
        "its records are not all of one moment: parts of it, or its " +
          "write-ahead log (-wal), were put back from a copy",
      );
    }
    return catalog;
  }

  get meta(): ReadonlyMap<string, MetaRow> {
    return this.#rows.meta;
  }
  get nodes(): ReadonlyMap<string, NodeRow> {
    return this.#rows.nodes;
  }
  get disks(): ReadonlyMap<string, DiskRow> {
    return this.#rows.disks;
  }
  get volumes(): ReadonlyMap<string, VolumeRow> {
    return this.#rows.volumes;
  }
  get grants(): ReadonlyMap<string, GrantRow> {
    return this.#rows.grants;
  }
  get tombstones(): ReadonlyMap<string, TombstoneRow> {
    return this.#rows.tombstones;
  }
  get tasks(): ReadonlyMap<string, TaskRow> {
    return this.#rows.tasks;
  }
  get observed(): ReadonlyMap<string, ObservedRow> {
    return this.#rows.observed;
  }

  /** How many commits of what is wanted it has had: a copy of before has fewer. */
  get commits(): number {
    return this.#marks.commits;
  }

  /** `counted` is called after each of them, above `least`, before who asked for it hears of it. */
  countFrom(least: number, counted: (commits: number) => void): void {
    this.#marks.countFrom(least);
    this.#counted = counted;
  }

  /** A disk's volumes in the order of its legs. */
  legsOf(diskId: string): VolumeRow[] {
    return [...this.#rows.volumes.values()].filter((volume) => volume.diskId === diskId)
      .sort((a, b) => a.leg - b.leg);
  }

  /** Those besides these that consumers without the agent use: their last grant has a token. */
  otherDirectLegs(diskId: string, legs: readonly { readonly id: string }[]): VolumeRow[] {
    const grants = this.#rows.grants;
    return this.legsOf(diskId).filter(({ id }) =>
      (grants.get(id)?.tokenHash ?? null) !== null && legs.every((leg) => leg.id !== id)
    );
  }

  /** For reading what is not held in memory: events and task logs. */
  get database(): Kysely<Tables> {
    return this.#database;
  }

  /**
   * Changes memory now; resolves when the changes are durable, together or not at all. Without any
   * it waits for what is on its way, and is refused with that.
   */
  commit(changes: readonly Change[]): Promise<void> {
    const undos = changes.map((change) => this.#apply(change));
    return new Promise((resolve, reject) => {
      this.#queue.push({
        changes,
        undo: () => undos.reverse().forEach((undo) => undo()),
        resolve,
        reject,
      });
      this.#pumping ??= this.#pump();
    });
  }

  /** Changes memory only: figures that are saved in batches and may be lost. */
  note(change: Change): void {
    this.#apply(change);
  }

  /** Resolves when all that memory has shown is durable, or was taken back. */
  settled(): Promise<void> {
    return this.whenDurable(() => {});
  }

  /**
   * Runs it when all that memory shows is durable. Not behind `settled()`: between its end and
   * whoever awaits that somebody may commit.
   */
  async whenDurable<T>(run: () => T): Promise<T> {
    while (this.#pumping !== null) await this.#pumping;
    return run();
  }

  /** Everything that memory holds, as changes that make it anew. */
  everything(): Change[] {
    return Object.entries(this.#rows).flatMap(([table, rows]) =>
      [...rows.values()].map((put) => ({ table, put }) as unknown as Change)
    );
  }

  /**
   * Writes all that memory holds to an empty database, and goes on with that one. `isWhole` is
   * called in between, before anything new is written there: the next start has to find it. When
   * it rejects before that has returned, the old one goes on.
   */
  moveTo(database: Kysely<Tables>, isWhole: () => void): Promise<CopiedHistory> {
    return this.alone(() => this.#move(database, isWhole));
  }

  /**
   * Runs once all is durable, so that the file holds what memory does as it begins; what is
   * committed from then on waits for its end.
   */
  async alone<T>(run: () => Promise<T>): Promise<T> {
    const running = await this.whenDurable(() => {
      const done = run();
      this.#pumping = done.then(() => {}, () => {}).then(() => this.#pump());
      return { done };
    });
    return await running.done;
  }

  async #move(database: Kysely<Tables>, isWhole: () => void): Promise<CopiedHistory> {
    const before = this.#database;
    await writeAll(database, this.everything());
    const history = await copyHistory(before, database);
    isWhole();
    this.#database = database;
    await before.destroy();
    return history;
  }

  async close(): Promise<void> {
    await this.settled();
    await this.#database.destroy();
  }

  #apply(change: Change): () => void {
    if (change.table === "taskLogs" || change.table === "events") return () => {};
    const rows = this.#rows[change.table] as Map<string, unknown>;
    const key = "put" in change ? keyOf(change.table, change.put) : change.remove;
    const before = rows.get(key);
    if ("put" in change) rows.set(key, change.put);
    else rows.delete(key);
    return () => before === undefined ? rows.delete(key) : rows.set(key, before);
  }

  async #pump(): Promise<void> {
    await Promise.resolve(); // What is committed in this same turn joins the transaction.
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      const changes = group.flatMap((waiting) => waiting.changes);
      const { marks, undo } = this.#marks.next(changes);
      try {
        if (changes.length > 0) await writeAll(this.#database, [...changes, ...marks]);
        for (const mark of marks) this.#apply(mark);
        if (marks.length > 0) this.#counted(this.commits);
        for (const waiting of group) waiting.resolve();
      } catch (error) {
        undo();
        const all = [...group, ...this.#queue];
        this.#queue = [];
        for (const waiting of all.toReversed()) waiting.undo();
        const refusal = refusalOf(error);
        for (const waiting of all) waiting.reject(refusal);
      }
    }
    this.#pumping = null;
  }
}

/** What the disk cannot take is the operator's to mend; anything else is ours. */
function refusalOf(error: unknown): unknown {
  const trouble = troubleOf(error);
  if (trouble === null) return error;
  const message = `The station cannot write its catalog: ${trouble} (${messageOf(error)}). ` +
    "Nothing was changed. Mend that and try again.";
  return new DvsanError("io", message, { cause: error });
}

/** The record without its checksum; throws when it is damaged. */
function rightRow<T extends Held>(table: T, found: Tables[T]): Tables[T] {
  const { row, isRight } = withoutSum(table, found);
  const reason = invalidRow(table, row) ?? (isRight ? null : "its checksum is wrong");
  if (reason !== null) throw new Error(`a record of ${table} is damaged: ${reason}`);
  return row;
}
