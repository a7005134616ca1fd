import type { DatabaseSync } from "node:sqlite";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type { CatalogFiles } from "../ports.ts";
import { Catalog } from "./catalog.ts";
import { isThere, isUntouchable, nameOf, NUMBER_MAX, takeAway } from "./files.ts";
import { migrate, newerMigrations } from "./migrations.ts";
import { OWN_TABLES, tablesUnlike } from "./schema.ts";
import { damageOf, kyselyOver, makeDurable, troubleOf } from "./sqlite.ts";

/** New files that are made and found to be of no use before nothing is tried any more. */
const ATTEMPTS_MAX = 8;

/**
 * A fresh catalog under the next name that is free: of which there is nothing, or a file without a
 * record, as a start that was cut may leave it. Any other may be all that is left of its records.
 * It is to be closed and taken away (files.ts) when it does not become the catalog.
 */
export async function replacement(
  files: CatalogFiles,
  open: (name: string) => DatabaseSync,
  from: number,
): Promise<{ catalog: Catalog; fileName: string }> {
  let reason = `there is a file of every name up to ${nameOf(NUMBER_MAX)}`;
  let failures = 0;
  for (let number = from; number <= NUMBER_MAX && failures < ATTEMPTS_MAX; number++) {
    const fileName = nameOf(number);
    if (isUntouchable(files, fileName)) continue;
    const wasThere = isThere(files, fileName);
    try {
      const catalog = await openEmpty(open(fileName));
      if (catalog !== null) return { catalog, fileName };
    } catch (error) {
      if (wasThere) continue;
      takeAway(files, fileName);
      refuseTrouble(files.path(fileName), error);
      reason = messageOf(error);
      failures++;
    }
  }
  throw new DvsanError(
    "io",
    `Cannot make a catalog in ${files.path(".")}: ${reason}. Check the disk, or give another ` +
      "--state folder.",
  );
}

/** Null, and closed, when it holds records; throws when it is damaged, so that nobody can say. */
async function openEmpty(raw: DatabaseSync): Promise<Catalog | null> {
  let isEmpty = false;
  try {
    isEmpty = tablesWithRecords(raw) === 0;
  } finally {
    if (!isEmpty) raw.close();
  }
  return isEmpty ? await openOne(raw) : null;
}

function tablesWithRecords(raw: DatabaseSync): number {
  const tables = raw.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  return tables.map(({ name }) => String(name)).filter((name) => OWN_TABLES.has(name))
    .filter((name) => raw.prepare(`SELECT 1 FROM ${name} LIMIT 1`).get() !== undefined).length;
}

/** Throws when the error is not about the file's content. */
export function refuseTrouble(path: string, error: unknown): void {
  if (error instanceof DvsanError && error.code === "unsupported") throw error;
  const trouble = troubleOf(error);
  if (trouble === null) return;
  throw new DvsanError(
    "io",
    `Cannot open the catalog ${path}: ${trouble} (${messageOf(error)}). Nothing was changed: ` +
      "mend that and start the station again.",
    { cause: error },
  );
}

/** Closes the database when it is of no use as it is. */
export async function openOne(raw: DatabaseSync): Promise<Catalog> {
  try {
    makeDurable(raw);
    const damage = damageOf(raw);
    if (damage !== null) throw new DvsanError("io", `SQLite finds it damaged: ${damage}`);
    const newer = newerMigrations(raw);
    if (newer.length > 0) {
      const message = `Cannot open the catalog: a newer dvsan wrote it (${newer.join(", ")}). ` +
        "Start that version.";
      throw new DvsanError("unsupported", message);
    }
    const database = kyselyOver(raw);
    await migrate(database);
    const [unlike] = await tablesUnlike(database);
    if (unlike !== undefined) throw new DvsanError("io", unlike);
    return await Catalog.load(database);
  } catch (error) {
    raw.close();
    throw error;
  }
}
