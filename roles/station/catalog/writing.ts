import type { Kysely } from "kysely";
import type { Change } from "./catalog.ts";
import { sumOf } from "./row_sums.ts";
import { type EventRow, KEYS, type MetaRow, type Tables } from "./rows.ts";

/** All changes or none. */
export async function writeAll(
  database: Kysely<Tables>,
  changes: readonly Change[],
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    for (const change of changes) await writeOne(transaction, change);
  });
}

async function writeOne(database: Kysely<Tables>, change: Change): Promise<void> {
  if ("remove" in change) {
    const key = change.table === "taskLogs" ? "taskId" : KEYS[change.table];
    await database.deleteFrom(change.table as "meta").where(key as "key", "=", change.remove)
      .execute();
    return;
  }
  if ("append" in change) {
    const appended = { ...change.append, sum: sumOf(change.table, change.append) };
    await database.insertInto(change.table as "events").values(appended as unknown as EventRow)
      .execute();
    return;
  }
  const key = KEYS[change.table];
  const put = { ...change.put, sum: sumOf(change.table, change.put) };
  const row = put as unknown as MetaRow;
  await database.insertInto(change.table as "meta").values(row)
    .onConflict((conflict) => conflict.column(key as "key").doUpdateSet(row)).execute();
}
