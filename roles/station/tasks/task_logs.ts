import type { Catalog } from "../catalog/catalog.ts";

/** A task's log, oldest line first. */
export async function logOf(
  { database }: Catalog,
  taskId: string,
): Promise<{ atMs: number; text: string }[]> {
  return await database.selectFrom("taskLogs").select(["atMs", "text"])
    .where("taskId", "=", taskId).orderBy("line").execute();
}

/** The number of a task's next log line. */
export async function nextLineOf({ database }: Catalog, taskId: string): Promise<number> {
  const row = await database.selectFrom("taskLogs")
    .select((select) => select.fn.max("line").as("last")).where("taskId", "=", taskId)
    .executeTakeFirst();
  return row?.last === null || row?.last === undefined ? 0 : Number(row.last) + 1;
}
