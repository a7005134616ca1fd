import type { Kysely } from "kysely";
import { messageOf } from "../../../protocol/core/errors.ts";
import { HISTORY_TABLES, type HistoryTable, invalidRow } from "./row_schemas.ts";
import { sumOf, withoutSum } from "./row_sums.ts";
import type { EventRow, Tables } from "./rows.ts";
import { recordsWord } from "./salvage.ts";

const COPIED_AT_ONCE = 200;

/** What names a record, in the order in which its table keeps them. */
const KEYS = { events: ["number"], taskLogs: ["taskId", "line"] } as const;

export interface CopiedHistory {
  /** How many records were taken over. */
  readonly kept: number;
  /** What was not, in words. */
  readonly lost: readonly string[];
}

/**
 * Copies events and task logs to tables that have none: each record once, and what cannot be read
 * or is not right is left out. Nobody depends on them, so no damage to them keeps back the rest.
 */
export async function copyHistory(
  from: Kysely<Tables>,
  to: Kysely<Tables>,
): Promise<CopiedHistory> {
  const lost: string[] = [];
  let kept = 0;
  for (const table of HISTORY_TABLES) {
    const rows = await rightRows(from, { table, lost });
    kept += rows.length;
    await to.transaction().execute(async (transaction) => {
      for (let at = 0; at < rows.length; at += COPIED_AT_ONCE) {
        const some = rows.slice(at, at + COPIED_AT_ONCE) as EventRow[];
        await transaction.insertInto(table as "events").values(some).execute();
      }
    });
  }
  return { kept, lost };
}

/** Why the record cannot be one of this table, or null. */
export function historyDamage(table: HistoryTable, found: Tables[HistoryTable]): string | null {
  const { row, isRight } = withoutSum(table, found);
  return invalidRow(table, row) ?? (isRight ? null : "its checksum is wrong");
}

/** What names it, for words about it. */
export function historyKeyOf(table: HistoryTable, row: Tables[HistoryTable]): string {
  const values = KEYS[table].map((column) => (row as unknown as Record<string, unknown>)[column]);
  return values.map(String).join(", line ");
}

/** With their checksums, also those of before there were any; one that has one comes first. */
async function rightRows(
  from: Kysely<Tables>,
  { table, lost }: { readonly table: HistoryTable; readonly lost: string[] },
): Promise<Tables[HistoryTable][]> {
  const right = new Map<string, { readonly row: Tables[HistoryTable]; readonly hasSum: boolean }>();
  const wrong = new Set<string>();
  const take = (found: Tables[HistoryTable]) => {
    const { row, hasSum } = withoutSum(table, found);
    const key = historyKeyOf(table, row);
    if (historyDamage(table, found) !== null) wrong.add(JSON.stringify(Object.values(found)));
    else if (hasSum || !right.has(key)) right.set(key, { row, hasSum });
  };
  const failed = await read(from, { table, order: "asc", take });
  // What is behind a page that cannot be read.
  if (failed !== null) await read(from, { table, order: "desc", take });
  if (wrong.size > 0) lost.push(`${table}: ${recordsWord(wrong.size)} that had been damaged`);
  if (failed !== null) {
    lost.push(`${table}: records, if there were more, could not be read: ${failed}`);
  }
  return [...right.values()].map(({ row }) => ({ ...row, sum: sumOf(table, row) }));
}

/** Gives each record until one cannot be read; why it could not, or null. */
async function read(
  from: Kysely<Tables>,
  { table, order, take }: {
    readonly table: HistoryTable;
    readonly order: "asc" | "desc";
    readonly take: (row: Tables[HistoryTable]) => void;
  },
): Promise<string | null> {
  let query = from.selectFrom(table as "events").selectAll();
  for (const column of KEYS[table]) query = query.orderBy(column as "number", order);
  try {
    for (const row of await query.execute()) take(row);
    return null;
  } catch (error) {
    // A stream gives what comes before the failure, and does not tell of every one.
    await takeQuietly(query.stream(), take);
    return messageOf(error);
  }
}

async function takeQuietly(
  rows: AsyncIterable<EventRow>,
  take: (row: EventRow) => void,
): Promise<void> {
  try {
    for await (const row of rows) take(row);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
