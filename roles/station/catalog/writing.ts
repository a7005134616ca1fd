import type { Kysely } from "kysely";
import type { Change } from "./catalog.ts";
import { sumOf } from "./row_sums.ts";
import { type EventRow, KEYS, type MetaRow, type Tables, type TaskLogRow } from "./rows.ts";

const COPIED_AT_ONCE = 200;

/** All changes or none. */
export async function writeAll(
  database: Kysely<Tables>,
  changes: readonly Change[],
): Promise<void> {
  await database.transaction().execute(async (transaction) => {
    for (const change of changes) await writeOne(transaction, change);
  });
}

/** Events and task logs, as far as they can be read: nobody depends on them. */
export async function copyHistory(from: Kysely<Tables>, to: Kysely<Tables>): Promise<void> {
  const events: EventRow[] = await readable(from.selectFrom("events").selectAll().execute());
  const lines: TaskLogRow[] = await readable(from.selectFrom("taskLogs").selectAll().execute());
  await to.transaction().execute(async (transaction) => {
    for (let at = 0; at < events.length; at += COPIED_AT_ONCE) {
      const some = events.slice(at, at + COPIED_AT_ONCE);
      await transaction.insertInto("events").values(some).execute();
    }
    for (let at = 0; at < lines.length; at += COPIED_AT_ONCE) {
      const some = lines.slice(at, at + COPIED_AT_ONCE);
      await transaction.insertInto("taskLogs").values(some).execute();
    }
  });
}

async function readable<T>(reading: Promise<T[]>): Promise<T[]> {
  try {
    return await reading;
  } catch {
    return [];
  }
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
  const put = { ...change.put, sum: sumOf(change.table, change.put) };
  const row = put as unknown as MetaRow;
  await database.insertInto(change.table as "meta").values(row)
    .onConflict((conflict) => conflict.column(key as "key").doUpdateSet(row)).execute();
}
