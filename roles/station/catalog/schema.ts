import type { DatabaseSync } from "node:sqlite";
import { type Kysely, sql } from "kysely";
import { messageOf } from "../../../protocol/core/errors.ts";
import { migrate } from "./migrations.ts";
import { KEYS, type Tables } from "./rows.ts";
import { kyselyOver, openDatabaseFile } from "./sqlite.ts";

/** All but those that the migrations keep for themselves. */
export const OWN_TABLES: ReadonlySet<string> = new Set([
  ...Object.keys(KEYS),
  "taskLogs",
  "events",
]);

/**
 * Tables that are not made as this version makes them, in sentences. A bit that was flipped in what
 * SQLite keeps of a table, such as a column's name or the values that it may have, leaves a file
 * that SQLite calls sound and that refuses what is written to it.
 */
export async function tablesUnlike(database: Kysely<Tables>): Promise<string[]> {
  const wanted = await ofFresh(tablesOf);
  let found: Map<string, string>;
  try {
    found = await tablesOf(database);
  } catch (error) {
    return [`its tables cannot be read: ${messageOf(error)}`];
  }
  return [...wanted].filter(([name, made]) => found.get(name) !== made)
    .map(([name]) =>
      found.has(name) ? `the table ${name} is not made as it has to be` : `it has no table ${name}`
    );
}

/** By the table's name. */
export type TableShapes = ReadonlyMap<string, {
  /** The names of its columns, in their order. */
  readonly columns: readonly string[];
  /** Columns that no two of its records may have alike, besides what names them. */
  readonly unlike: readonly (readonly string[])[];
}>;

/** A catalog's schema before there is any record. */
export interface FreshSchema {
  readonly shapes: TableShapes;
  readonly pageBytes: number;
  /** The pages that hold it, the header with it, by number from 1. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

export function freshSchema(): Promise<FreshSchema> {
  return ofFresh((_, raw) => {
    const namesOf = (query: string, of: string) =>
      raw.prepare(`SELECT name FROM ${query}`).all(of).map(({ name }) => String(name));
    const tables = namesOf("sqlite_schema WHERE type = ?", "table");
    const shapes = tables.map((table) => {
      const indices = namesOf("pragma_index_list(?) WHERE origin = 'u'", table);
      return [table, {
        columns: namesOf("pragma_table_info(?) ORDER BY cid", table),
        unlike: indices.map((index) => namesOf("pragma_index_info(?) ORDER BY seqno", index)),
      }] as const;
    });
    const bytes = raw.serialize();
    const [size] = raw.prepare("PRAGMA page_size").all();
    const pageBytes = Number(size?.["page_size"]);
    const numbers = raw.prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema'").all();
    const pages = numbers.map(({ pageno }) => Number(pageno)).map((
      number,
    ): [number, Uint8Array] => [
      number,
      bytes.subarray((number - 1) * pageBytes, number * pageBytes),
    ]);
    return Promise.resolve({ shapes: new Map(shapes), pageBytes, pages: new Map(pages) });
  });
}

/** Of an empty catalog as this version makes it. */
async function ofFresh<T>(
  read: (fresh: Kysely<Tables>, raw: DatabaseSync) => Promise<T>,
): Promise<T> {
  const raw = openDatabaseFile(":memory:");
  const fresh = kyselyOver(raw);
  try {
    await migrate(fresh);
    return await read(fresh, raw);
  } finally {
    await fresh.destroy();
  }
}

/** The statement that made each, with single spaces. Kysely's own tables are its own matter. */
async function tablesOf(database: Kysely<Tables>): Promise<Map<string, string>> {
  const { rows } = await sql<{ name: string; sql: string }>`
    SELECT name, sql FROM sqlite_schema WHERE type = 'table'`.execute(database);
  return new Map(
    rows.filter(({ name }) => OWN_TABLES.has(name))
      .map((table) => [table.name, table.sql.replaceAll(/\s+/g, " ")]),
  );
}
