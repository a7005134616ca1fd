import type { DatabaseSync } from "node:sqlite";
import { sql } from "kysely";
import { utf8 } from "../../../protocol/core/bytes.ts";
import { messageOf } from "../../../protocol/core/errors.ts";
import type { CatalogView } from "../../../web/station_api.ts";
import type { StateFiles } from "../ports.ts";
import type { Catalog } from "./catalog.ts";
import { numberOf, type OpenedCatalog, POINTER, replacement } from "./open.ts";
import { danglingRows } from "./relations.ts";
import { CHECKED_TABLES, type CheckedTable, invalidRow } from "./row_schemas.ts";
import { sumOf, withoutSum } from "./row_sums.ts";
import { foundKeyOf, type Tables } from "./rows.ts";
import { tablesUnlike } from "./schema.ts";

const FINDINGS_MAX = 64;

type Row = Tables[CheckedTable];

/** Looks after the catalog's file while the station runs: checks it, and writes it anew. */
export class CatalogKeeper {
  readonly #files: StateFiles;
  readonly #open: (name: string) => DatabaseSync;
  readonly #opened: OpenedCatalog;
  #fileName: string;

  constructor(
    opened: OpenedCatalog,
    options: { readonly files: StateFiles; readonly open: (name: string) => DatabaseSync },
  ) {
    this.#opened = opened;
    this.#fileName = opened.fileName;
    this.#files = options.files;
    this.#open = options.open;
  }

  /** Compares the file with what it should hold, record by record. Changes nothing. */
  async check(): Promise<CatalogView> {
    const { catalog, setAside } = this.#opened;
    const findings = (await catalog.alone(() => findingsOf(catalog))).slice(0, FINDINGS_MAX);
    const path = this.#files.path(this.#fileName);
    return {
      file: path,
      isSound: findings.length === 0,
      findings,
      setAside: setAside.map((one) => ({ ...one, lost: [...one.lost] })),
    };
  }

  /**
   * Writes all that the station knows to a new file, without records that mean nothing by
   * themselves, and goes on with that one. The old file stays as it is.
   */
  async repair(): Promise<CatalogView> {
    const before = await this.check();
    if (before.isSound) return before;
    const { catalog } = this.#opened;
    await catalog.commit(
      dangling(catalog).map(({ table, key }) => ({ table, remove: key })),
    ).catch(() => {}); // The old file may take nothing any more; memory is what counts here.
    const from = numberOf(this.#fileName) + 1;
    const next = await replacement(this.#files, this.#open, from);
    await catalog.moveTo(next.catalog.database, () => this.#name(next.fileName));
    return await this.check();
  }

  /**
   * The next start takes this file. When that cannot be written it may be written all the same
   * (StateFiles), and the old file is the one that goes on: so it is named again.
   */
  #name(fileName: string): void {
    try {
      this.#files.write(POINTER, utf8(`${fileName}\n`));
    } catch (error) {
      try {
        this.#files.write(POINTER, utf8(`${this.#fileName}\n`));
      } catch {
        // The first error says what is to be mended.
      }
      throw error;
    }
    this.#fileName = fileName;
  }
}

/** Memory goes on while the file is read: what it held as that began is what the file has to. */
async function findingsOf(catalog: Catalog): Promise<string[]> {
  const wanted = new Map(
    CHECKED_TABLES.map((table) => [table, new Map<string, Row>(catalog[table])]),
  );
  const unbound = dangling(catalog);
  const pages = await pageFindings(catalog);
  const rows = [...wanted].map(([table, held]) => rowFindings(catalog, { table, wanted: held }));
  return [
    ...pages,
    ...await tablesUnlike(catalog.database),
    ...(await Promise.all(rows)).flat(),
    ...await historyFindings(catalog, { table: "events", key: ({ number }) => `${number}` }),
    ...await historyFindings(catalog, {
      table: "taskLogs",
      key: ({ taskId, line }) => `${taskId}, line ${line}`,
    }),
    ...unbound.map(({ table, key, reason }) => `${table} ${key}: ${reason}`),
  ];
}

async function pageFindings(catalog: Catalog): Promise<string[]> {
  try {
    // What SQLite keeps in memory may be right where the file is not.
    await sql`PRAGMA shrink_memory`.execute(catalog.database);
    const { rows } = await sql<{ integrity_check: string }>`PRAGMA integrity_check(20)`
      .execute(catalog.database);
    return rows.map((row) => row.integrity_check).filter((text) => text !== "ok");
  } catch (error) {
    return [`the file cannot be checked: ${messageOf(error)}`];
  }
}

async function rowFindings(
  catalog: Catalog,
  { table, wanted }: { readonly table: CheckedTable; readonly wanted: ReadonlyMap<string, Row> },
): Promise<string[]> {
  let rows: Row[];
  try {
    rows = await catalog.database.selectFrom(table as "meta").selectAll()
      .execute() as unknown as Row[];
  } catch (error) {
    return [`${table}: cannot be read: ${messageOf(error)}`];
  }
  const findings: string[] = [];
  const found = new Set<string>();
  for (const each of rows) {
    const { row, isRight } = withoutSum(table, each);
    const key = foundKeyOf(table, row);
    found.add(key);
    const reason = invalidRow(table, row) ?? (isRight ? null : "its checksum is wrong");
    const known = wanted.get(key);
    // Progress of tasks and what units hold are saved in batches.
    const isBatched = table === "tasks" || table === "observed";
    if (reason !== null) findings.push(`${table} ${key}: ${reason}`);
    else if (known === undefined) findings.push(`${table} ${key}: should not be there`);
    else if (!isBatched && sumOf(table, known) !== sumOf(table, row)) {
      findings.push(`${table} ${key}: is not what was written`);
    }
  }
  for (const key of wanted.keys()) {
    if (!found.has(key)) findings.push(`${table} ${key}: is missing`);
  }
  return findings;
}

interface HistoryTable<T extends "events" | "taskLogs"> {
  readonly table: T;
  readonly key: (row: Tables[T]) => string;
}

/** Of what is not held in memory, the file alone can tell whether it is right. */
async function historyFindings<T extends "events" | "taskLogs">(
  catalog: Catalog,
  { table, key }: HistoryTable<T>,
): Promise<string[]> {
  try {
    const rows = await catalog.database.selectFrom(table as "events").selectAll().execute();
    return (rows as unknown as Tables[T][]).map((each) => withoutSum(table, each))
      .filter(({ isRight }) => !isRight)
      .map(({ row }) => `${table} ${key(row)}: its checksum is wrong`);
  } catch (error) {
    return [`${table}: cannot be read: ${messageOf(error)}`];
  }
}

function dangling(catalog: Catalog) {
  return danglingRows(
    new Map(CHECKED_TABLES.map((table) => [table, [...catalog[table].values()]])),
  );
}
