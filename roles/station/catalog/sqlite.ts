import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { Kysely, SqliteDialect } from "kysely";
import type { Tables } from "./rows.ts";

const NO_CHANGES = { changes: 0, lastInsertRowid: 0 };

/** The one place that opens a file of its own: SQLite does its own I/O. */
export function openDatabaseFile(path: string): DatabaseSync {
  return new DatabaseSync(path);
}

/**
 * Kysely over node:sqlite. Kysely's dialect wants a statement that says whether it returns rows
 * and takes its parameters as a list; node:sqlite has columns() and takes them spread.
 */
export function kyselyOver(database: DatabaseSync): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: new SqliteDialect({
      database: {
        close: () => database.close(),
        prepare(sql) {
          const statement = database.prepare(sql);
          const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
          return {
            reader: statement.columns().length > 0,
            all: (parameters) => statement.all(...values(parameters)),
            run: (parameters) => {
              // On a full disk SQLite has rolled back by itself; Kysely does it once more, and
              // that error would hide the first.
              if (sql === "rollback" && !database.isTransaction) return NO_CHANGES;
              return statement.run(...values(parameters));
            },
            iterate: (parameters) => statement.iterate(...values(parameters)),
          };
        },
      },
    }),
  });
}

/** Durability as the catalog promises it: what was committed survives a power cut. */
export function makeDurable(database: DatabaseSync): void {
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("PRAGMA synchronous = FULL");
  database.exec("PRAGMA foreign_keys = ON");
}

/**
 * Has SQLite read what is there of a file that is shorter than it says: otherwise it reads nothing
 * of it. Nothing is to be written to it then. (Deno's types do not have the method yet.)
 */
export function readDamaged(
  database: DatabaseSync & { enableDefensive?: (isOn: boolean) => void },
): void {
  database.enableDefensive?.(false);
  database.exec("PRAGMA writable_schema = ON");
}

const FORMATS_AT = 18;
/** A rollback journal, or a write-ahead log. */
const FORMAT_MAX = 2;

/**
 * Why SQLite would call a file that it may write one that cannot be written, or null: its header
 * has a format of later versions, for writing or for reading (https://sqlite.org/fileformat2.html,
 * 1.3.3), and there are none.
 */
export function headerDamageOf(file: Uint8Array | null): string | null {
  const formats = [...(file ?? []).slice(FORMATS_AT, FORMATS_AT + 2)];
  return formats.every((format) => format <= FORMAT_MAX)
    ? null
    : `its header is damaged: formats ${formats.join(" and ")}`;
}

/** Why SQLite thinks the file is damaged, or null. */
export function damageOf(database: DatabaseSync): string | null {
  const rows = database.prepare("PRAGMA integrity_check(5)").all() as { integrity_check: string }[];
  const findings = rows.map((row) => row.integrity_check).filter((text) => text !== "ok");
  return findings.length === 0 ? null : findings.join("; ").replaceAll("\n", "; ");
}

/** A page was read of which the file does not have all: https://sqlite.org/rescode.html. */
const SHORT_READ = 522;

/**
 * Why SQLite cannot work with the file now, though nothing says that the file is damaged; or null.
 * node:sqlite keeps SQLite's result code from errors of exec() and of opening, so its fixed words
 * (sqlite3_errstr) are what tells them apart.
 */
export function troubleOf(error: unknown): string | null {
  const words = error instanceof Error ? error.message : "";
  // The words of an I/O error, though it is the file that is cut short, and no disk that refused.
  if (error instanceof Error && "errcode" in error && error.errcode === SHORT_READ) return null;
  return TROUBLES.find(([pattern]) => pattern.test(words))?.[1] ?? null;
}

const TROUBLES: readonly (readonly [RegExp, string])[] = [
  [/database (table )?is locked/, "another process is using it"],
  [/database or disk is full/, "the file system is full"],
  [/readonly database/, "it cannot be written"],
  [/unable to open database file|access permission denied/, "it cannot be opened for writing"],
  [/disk I\/O error/, "the disk refused to read or write it, or is full"],
  [/out of memory/, "there is not enough memory"],
];
