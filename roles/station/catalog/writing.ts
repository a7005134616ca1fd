import type { Kysely } from "kysely";
import type { Change } from "./catalog.ts";
import { sumOf, withoutSum } from "./row_sums.ts";
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

/** Events and task logs, as far as they can be read and are right: nobody depends on them. */
export async function copyHistory(from: Kysely<Tables>, to: Kysely<Tables>): Promise<void> {
  const events = rightOf(
    "events",
    await readable<EventRow>(from.selectFrom("events").selectAll().execute()),
  );
  const lines = rightOf(
    "taskLogs",
    await readable<TaskLogRow>(from.selectFrom("taskLogs").selectAll().execute()),
  );
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

/** With their checksums, also those of before there were any. */
function rightOf<T extends object>(table: "events" | "taskLogs", found: readonly T[]): T[] {
  return found.map((each) => withoutSum(table, each)).filter(({ isRight }) => isRight)
    .map(({ row }) => ({ ...row, sum: sumOf(table, row) }));
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
