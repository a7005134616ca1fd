import type { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../../protocol/core/errors.ts";
import type { Change } from "./catalog.ts";
import { clashingRows, type Dangling, danglingRows } from "./relations.ts";
import { CHECKED_TABLES, type CheckedTable, invalidRow } from "./row_schemas.ts";
import { withoutSum } from "./row_sums.ts";
import { foundKeyOf, keyOf, KEYS, type Tables } from "./rows.ts";
import type { TableShapes } from "./schema.ts";

const NAMED_MAX = 32;
const ROWID = "salvageRowid";
const KEY_CHARACTERS_MAX = 64;

type Row = Record<string, unknown>;

export interface Salvaged {
  /** The records that are whole, as changes for a new catalog. */
  readonly kept: readonly Change[];
  /** How many of these have a checksum: what is read of another table's pages has none. */
  readonly proven: number;
  /** Records that were not taken over, each with its reason. */
  readonly lost: readonly string[];
}

/**
 * Reads of a damaged database every record that can still be read and is right: its page, its
 * checksum, its shape and what it refers to. Changes nothing.
 */
export function salvage(database: DatabaseSync, shapes: TableShapes): Salvaged {
  const lost: string[] = [];
  const rows = new Map<CheckedTable, Tables[CheckedTable][]>();
  const summed = new Set<Tables[CheckedTable]>();
  for (const table of CHECKED_TABLES) {
    const columns = shapes.get(table)?.columns ?? [];
    rows.set(table, readTable(database, table, { columns, lost, summed }));
  }
  const leaveOut = ({ table, key, reason }: Dangling) => {
    rows.set(table, (rows.get(table) ?? []).filter((row) => keyOf(table, row) !== key));
    name(lost, { table, key, reason });
  };
  clashingRows(rows, shapes).forEach(leaveOut);
  danglingRows(rows).forEach(leaveOut);
  const kept = [...rows].flatMap(([table, each]) =>
    each.map((put) => ({ table, put }) as unknown as Change)
  );
  const proven = [...rows.values()].flat().filter((row) => summed.has(row)).length;
  return { kept, proven, lost };
}

/** Those of which a checksum was there and right are in `summed`, too. */
function readTable(
  database: DatabaseSync,
  table: CheckedTable,
  { columns, lost, summed }: {
    readonly columns: readonly string[];
    readonly lost: string[];
    readonly summed: Set<Tables[CheckedTable]>;
  },
): Tables[CheckedTable][] {
  const kept = new Map<string, Tables[CheckedTable]>();
  const named = new Set<string>();
  for (const raw of readableRows(database, table, lost)) {
    const { [ROWID]: _, ...found } = raw;
    const { row, isRight, hasSum } = withoutSum(table, namedAs(columns, found));
    const key = foundKeyOf(table, row);
    const reason = invalidRow(table, row) ?? (isRight ? null : "its checksum is wrong");
    named.add(key);
    if (hasSum) summed.add(row);
    if (reason !== null) name(lost, { table, key, reason });
    else if (!kept.has(key)) kept.set(key, row);
  }
  for (const key of indexedKeys(database, table)) {
    if (kept.has(key) || named.has(key)) continue;
    name(lost, { table, key, reason: "its record is gone" });
  }
  return [...kept.values()];
}

/** By their places: a column's name may be what is damaged. */
function namedAs(columns: readonly string[], found: Row): Tables[CheckedTable] {
  const values = Object.values(found);
  const row = values.length === columns.length
    ? Object.fromEntries(columns.map((column, at) => [column, values[at]]))
    : found;
  return row as unknown as Tables[CheckedTable];
}

/** What the table's index names, as far as it can be read: a page of zeroes reads as no records. */
function indexedKeys(database: DatabaseSync, table: CheckedTable): string[] {
  const keys = new Map<unknown, Row>();
  const column = KEYS[table];
  const index = `sqlite_autoindex_${table}_1`;
  const query = `SELECT ${column} AS ${ROWID} FROM ${table} INDEXED BY ${index} ORDER BY ${column}`;
  take(database, query, keys);
  return [...keys.keys()].map(String);
}

/** From the front, from the back, and what is between by the index, each row by itself. */
function readableRows(database: DatabaseSync, table: CheckedTable, lost: string[]): Row[] {
  const rows = new Map<unknown, Row>();
  const all = `SELECT rowid AS ${ROWID}, * FROM ${table}`;
  const front = take(database, `${all} ORDER BY rowid`, rows);
  if (front === null) return [...rows.values()];
  take(database, `${all} ORDER BY rowid DESC`, rows);
  const ids = new Map<unknown, Row>();
  const index = `sqlite_autoindex_${table}_1`;
  take(database, `SELECT rowid AS ${ROWID} FROM ${table} INDEXED BY ${index}`, ids);
  let unreadable = 0;
  for (const id of ids.keys()) {
    if (rows.has(id)) continue;
    if (take(database, `${all} WHERE rowid = ${Number(id)}`, rows) !== null) unreadable++;
  }
  const count = unreadable > 0 ? recordsWord(unreadable) : "records, if there were more,";
  say(lost, `${table}: ${count} could not be read: ${front}`);
  return [...rows.values()];
}

export function recordsWord(count: number): string {
  return count === 1 ? "1 record" : `${count} records`;
}

/** Adds what the query gives until it fails; why it failed, or null. */
function take(database: DatabaseSync, query: string, into: Map<unknown, Row>): string | null {
  const add = (rows: Iterable<Record<string, unknown>>) => {
    for (const row of rows) into.set(row[ROWID], row);
  };
  try {
    add(database.prepare(query).all());
    return null;
  } catch (error) {
    // iterate() gives what comes before the failure, and does not tell of every one.
    quietly(() => add(database.prepare(query).iterate()));
    return messageOf(error);
  }
}

function quietly(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

function name(lost: string[], { table, key, reason }: Dangling): void {
  say(lost, `${table} ${key.slice(0, KEY_CHARACTERS_MAX)}: ${reason}`);
}

function say(lost: string[], text: string): void {
  if (lost.length < NAMED_MAX) lost.push(text.slice(0, 300));
  else if (lost.length === NAMED_MAX) lost.push("and more");
}
