import type { Kysely } from "kysely";
import { assert } from "../../../protocol/core/assert.ts";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import { troubleOf } from "./sqlite.ts";
import type {
  DiskRow,
  EventRow,
  GrantRow,
  MetaRow,
  NodeRow,
  ObservedRow,
  Tables,
  TaskLogRow,
  TaskRow,
  TombstoneRow,
  VolumeRow,
} from "./rows.ts";

/** The tables that are held in memory whole, with the column that names a row. */
const KEYS = {
  meta: "key",
  nodes: "id",
  disks: "id",
  volumes: "id",
  grants: "volumeId",
  tombstones: "volumeId",
  tasks: "id",
  observed: "unitId",
} as const;

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
 * the meantime shares one transaction. Whoever acts on the outside waits for `settled()` first.
 * When the database refuses, everything not yet durable is taken back and refused.
 */
export class Catalog {
  readonly #database: Kysely<Tables>;
  readonly #rows: { readonly [T in Held]: Rows<T> };
  #queue: Waiting[] = [];
  #pumping: Promise<void> | null = null;

  private constructor(database: Kysely<Tables>, rows: { readonly [T in Held]: Rows<T> }) {
    this.#database = database;
    this.#rows = rows;
  }

  /** Reads every held table; rejects when the database cannot be read. */
  static async load(database: Kysely<Tables>): Promise<Catalog> {
    const read = async <T extends Held>(table: T): Promise<Rows<T>> => {
      const rows = await database.selectFrom(table as Held).selectAll().execute();
      return new Map((rows as unknown as Tables[T][]).map((row) => [keyOf(table, row), row]));
    };
    return new Catalog(database, {
      meta: await read("meta"),
      nodes: await read("nodes"),
      disks: await read("disks"),
      volumes: await read("volumes"),
      grants: await read("grants"),
      tombstones: await read("tombstones"),
      tasks: await read("tasks"),
      observed: await read("observed"),
    });
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

  /** A disk's volumes in the order of its legs. */
  legsOf(diskId: string): VolumeRow[] {
    return [...this.#rows.volumes.values()].filter((volume) => volume.diskId === diskId)
      .sort((a, b) => a.leg - b.leg);
  }

  /** For reading what is not held in memory: events and task logs. */
  get database(): Kysely<Tables> {
    return this.#database;
  }

  /** Changes memory now; resolves when the changes are durable, together or not at all. */
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

  /** Resolves when all that memory shows is durable. */
  async settled(): Promise<void> {
    while (this.#pumping !== null) await this.#pumping;
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
      try {
        await this.#write(group.flatMap((waiting) => waiting.changes));
        for (const waiting of group) waiting.resolve();
      } catch (error) {
        const all = [...group, ...this.#queue];
        this.#queue = [];
        for (const waiting of all.toReversed()) waiting.undo();
        const refusal = refusalOf(error);
        for (const waiting of all) waiting.reject(refusal);
      }
    }
    this.#pumping = null;
  }

  #write(changes: readonly Change[]): Promise<void> {
    return this.#database.transaction().execute(async (transaction) => {
      for (const change of changes) await writeOne(transaction, change);
    });
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

function keyOf<T extends Held>(table: T, row: Tables[T]): string {
  const key = (row as unknown as Record<string, unknown>)[KEYS[table]];
  assert(typeof key === "string", `a row of ${table} has no key`);
  return key;
}

async function writeOne(database: Kysely<Tables>, change: Change): Promise<void> {
  if ("remove" in change) {
    const key = change.table === "taskLogs" ? "taskId" : KEYS[change.table];
    await database.deleteFrom(change.table as "meta").where(key as "key", "=", change.remove)
      .execute();
    return;
  }
  if ("append" in change) {
    await database.insertInto(change.table as "events").values(change.append as EventRow)
      .execute();
    return;
  }
  const key = KEYS[change.table];
  const row = change.put as unknown as MetaRow;
  await database.insertInto(change.table as "meta").values(row)
    .onConflict((conflict) => conflict.column(key as "key").doUpdateSet(row)).execute();
}
