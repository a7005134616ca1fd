import type { DatabaseSync } from "node:sqlite";
import { type Kysely, sql } from "kysely";
import { DEFAULT_MIGRATION_TABLE, type Migration, Migrator } from "kysely/migration";
import { KEYS, type Tables } from "./rows.ts";

/**
 * Static, so that a bundle has them. What a migration that has landed makes is never changed. Each
 * can be run again: that it was run is noted after its transaction, and a kill may come between.
 */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  "0001_first": { up: createFirstTables },
  "0002_known_grants": { up: addKnownGrants },
  "0003_checksums": { up: addChecksums },
  "0004_history_checksums": { up: addHistoryChecksums },
};

const FIRST_TABLES: readonly string[] = [
  `CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) STRICT`,
  `CREATE TABLE nodes (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('unit', 'host')), publicKey BLOB NOT NULL,
    admission TEXT NOT NULL CHECK (admission IN ('pending', 'admitted', 'revoked')),
    spare INTEGER NOT NULL, version TEXT NOT NULL, interfacesJson TEXT NOT NULL,
    dataAddressesJson TEXT NOT NULL, quotaBytes INTEGER NOT NULL, joinedMs INTEGER NOT NULL
  ) STRICT`,
  `CREATE TABLE disks (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, hostId TEXT NOT NULL,
    layout TEXT NOT NULL, sizeBytes INTEGER NOT NULL, version INTEGER NOT NULL,
    deliveredVersion INTEGER NOT NULL, state TEXT NOT NULL, access TEXT NOT NULL,
    adopted INTEGER NOT NULL, createdMs INTEGER NOT NULL) STRICT`,
  `CREATE TABLE volumes (id TEXT PRIMARY KEY NOT NULL, diskId TEXT NOT NULL,
    unitId TEXT NOT NULL, leg INTEGER NOT NULL, sizeBytes INTEGER NOT NULL,
    publishedBytes INTEGER NOT NULL, created INTEGER NOT NULL, number INTEGER NOT NULL,
    startLba INTEGER NOT NULL, UNIQUE (diskId, leg)) STRICT`,
  `CREATE TABLE grants (volumeId TEXT PRIMARY KEY NOT NULL, epoch INTEGER NOT NULL,
    counter INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'revoked')),
    grantedBytes INTEGER NOT NULL, tokenHash BLOB, addressesJson TEXT) STRICT`,
  `CREATE TABLE tombstones (volumeId TEXT PRIMARY KEY NOT NULL, unitId TEXT NOT NULL,
    diskId TEXT NOT NULL, epoch INTEGER NOT NULL, counter INTEGER NOT NULL,
    done INTEGER NOT NULL, reason TEXT NOT NULL, createdMs INTEGER NOT NULL) STRICT`,
  `CREATE TABLE tasks (id TEXT PRIMARY KEY NOT NULL, number INTEGER NOT NULL UNIQUE,
    kind TEXT NOT NULL, title TEXT NOT NULL, state TEXT NOT NULL, paramsJson TEXT NOT NULL,
    owner TEXT NOT NULL, hostId TEXT, locksJson TEXT NOT NULL, progress REAL NOT NULL,
    step TEXT NOT NULL, errorJson TEXT, createdMs INTEGER NOT NULL, startedMs INTEGER,
    endedMs INTEGER) STRICT`,
  `CREATE TABLE taskLogs (taskId TEXT NOT NULL, line INTEGER NOT NULL, atMs INTEGER NOT NULL,
    text TEXT NOT NULL, PRIMARY KEY (taskId, line)) STRICT, WITHOUT ROWID`,
  `CREATE TABLE events (number INTEGER PRIMARY KEY NOT NULL, atMs INTEGER NOT NULL,
    kind TEXT NOT NULL, severity TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL
  ) STRICT`,
  `CREATE TABLE observed (unitId TEXT PRIMARY KEY NOT NULL, atMs INTEGER NOT NULL,
    info BLOB NOT NULL) STRICT`,
];

async function createFirstTables(database: Kysely<unknown>): Promise<void> {
  for (const statement of FIRST_TABLES) {
    const make = statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
    await sql.raw(make).execute(database);
  }
}

/** Tombstones of before were made by catalogs that knew every grant up to their own generation. */
async function addKnownGrants(database: Kysely<unknown>): Promise<void> {
  if (await hasColumn(database, { table: "tombstones", column: "knownEpoch" })) return;
  for (const column of ["knownEpoch", "knownCounter"]) {
    const add = `ALTER TABLE tombstones ADD COLUMN ${column} INTEGER NOT NULL DEFAULT 0`;
    await sql.raw(add).execute(database);
  }
  const keep = "UPDATE tombstones SET knownEpoch = epoch, knownCounter = counter";
  await sql.raw(keep).execute(database);
}

/** Of row_sums.ts. Records of before have none until they are written again. */
async function addChecksums(database: Kysely<unknown>): Promise<void> {
  if (await hasColumn(database, { table: "meta", column: "sum" })) return;
  for (const table of Object.keys(KEYS)) {
    await sql.raw(`ALTER TABLE ${table} ADD COLUMN sum TEXT`).execute(database);
  }
}

async function addHistoryChecksums(database: Kysely<unknown>): Promise<void> {
  for (const table of ["events", "taskLogs"]) {
    if (await hasColumn(database, { table, column: "sum" })) continue;
    await sql.raw(`ALTER TABLE ${table} ADD COLUMN sum TEXT`).execute(database);
  }
}

async function hasColumn(
  database: Kysely<unknown>,
  { table, column }: { readonly table: string; readonly column: string },
): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM pragma_table_info(${table}) WHERE name = ${column}`
    .execute(database);
  return rows.length > 0;
}

/**
 * Brings the catalog to this version's tables. Each migration has a transaction of its own here:
 * Kysely gives SQLite's none.
 */
export async function migrate(database: Kysely<Tables>): Promise<void> {
  const inTransaction = Object.entries(MIGRATIONS).map(([name, migration]) => [name, {
    up: (db: Kysely<unknown>) => db.transaction().execute((inner) => migration.up(inner)),
  }]);
  const migrator = new Migrator({
    db: database,
    provider: { getMigrations: () => Promise.resolve(Object.fromEntries(inTransaction)) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined) throw error;
}

/**
 * Names of migrations that a newer version made. One that this version does not know, in the place
 * of one that it does, is damage, of which migrate() throws.
 */
export function newerMigrations(database: DatabaseSync): string[] {
  const isTable = database.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  if (isTable.get(DEFAULT_MIGRATION_TABLE) === undefined) return [];
  const rows = database.prepare(`SELECT name FROM ${DEFAULT_MIGRATION_TABLE}`).all();
  const had = new Set(rows.map((row) => String(row["name"])));
  const hasAll = Object.keys(MIGRATIONS).every((name) => had.has(name));
  return hasAll ? [...had].filter((name) => !Object.hasOwn(MIGRATIONS, name)) : [];
}
