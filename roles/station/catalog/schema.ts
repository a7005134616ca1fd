import type { DatabaseSync } from "node:sqlite";
import { type Kysely, sql } from "kysely";
import { messageOf } from "../../../protocol/core/errors.ts";
import { migrate } from "./migrations.ts";
import { KEYS, type Tables } from "./rows.ts";
import { kyselyOver, openDatabaseFile } from "./sqlite.ts";

const OWN_TABLES: ReadonlySet<string> = new Set([...Object.keys(KEYS), "taskLogs", "events"]);

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

/** The names of each table's columns, in their order. */
export function columnsOfTables(): Promise<Map<string, readonly string[]>> {
  return ofFresh(async (fresh) => {
    const { rows } = await sql<{ tableName: string; name: string }>`
      SELECT m.name AS tableName, c.name AS name FROM sqlite_schema m, pragma_table_info(m.name) c
      WHERE m.type = 'table' ORDER BY m.name, c.cid`.execute(fresh);
    const tables = Map.groupBy(rows, ({ tableName }) => tableName);
    return new Map([...tables].map(([table, columns]) => [table, columns.map(({ name }) => name)]));
  });
}

export interface FreshSchema {
  readonly pageBytes: number;
  /** Of the schema, the header with it, by number from 1. */
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

/** The pages that hold the schema, as they are before there is any record. */
export function freshSchema(): Promise<FreshSchema> {
  return ofFresh((_, raw) => {
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
    return Promise.resolve({ pageBytes, pages: new Map(pages) });
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
