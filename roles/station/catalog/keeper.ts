import type { DatabaseSync } from "node:sqlite";
import { sql } from "kysely";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type { CatalogView } from "../../../web/station_api.ts";
import type { CatalogFiles } from "../ports.ts";
import type { Catalog } from "./catalog.ts";
import { nameCatalog, numberOf, takeAway } from "./files.ts";
import { historyDamage, historyKeyOf } from "./history.ts";
import type { OpenedCatalog, SetAside } from "./open.ts";
import { danglingRows } from "./relations.ts";
import { replacement } from "./replacement.ts";
import { CHECKED_TABLES, type CheckedTable, type HistoryTable, invalidRow } from "./row_schemas.ts";
import { sumOf, withoutSum } from "./row_sums.ts";
import { foundKeyOf, type Tables } from "./rows.ts";
import { tablesUnlike } from "./schema.ts";
import { troubleOf } from "./sqlite.ts";

const FINDINGS_MAX = 64;
/** Findings that say why a file was set aside. */
const REASONS_MAX = 3;

type Row = Tables[CheckedTable];

/** Looks after the catalog's file while the station runs: checks it, and writes it anew. */
export class CatalogKeeper {
  readonly #files: CatalogFiles;
  readonly #open: (name: string) => DatabaseSync;
  readonly #opened: OpenedCatalog;
  readonly #setAside: SetAside[];
  #fileName: string;
  #repairing: Promise<CatalogView> | null = null;

  constructor(
    opened: OpenedCatalog,
    options: { readonly files: CatalogFiles; readonly open: (name: string) => DatabaseSync },
  ) {
    this.#opened = opened;
    this.#setAside = [...opened.setAside];
    this.#fileName = opened.fileName;
    this.#files = options.files;
    this.#open = options.open;
  }

  /** Compares the file with what it should hold, record by record. Changes nothing. */
  async check(): Promise<CatalogView> {
    const { catalog } = this.#opened;
    const findings = (await catalog.alone(() => findingsOf(catalog))).slice(0, FINDINGS_MAX);
    const path = this.#files.path(this.#fileName);
    return {
      file: path,
      isSound: findings.length === 0,
      findings,
      setAside: this.#setAside.map((one) => ({ ...one, lost: [...one.lost] })),
    };
  }

  /**
   * Writes all that the station knows to a new file, without records that mean nothing by
   * themselves, and goes on with that one. The old file stays as it is. DvsanError when the new
   * one cannot be written: then the station goes on with the old one.
   */
  repair(): Promise<CatalogView> {
    this.#repairing ??= this.#repair().finally(() => this.#repairing = null);
    return this.#repairing;
  }

  async #repair(): Promise<CatalogView> {
    const before = await this.check();
    if (before.isSound) return before;
    const { catalog } = this.#opened;
    await catalog.commit(
      dangling(catalog).map(({ table, key }) => ({ table, remove: key })),
    ).catch(() => {}); // The old file may take nothing any more; memory is what counts here.
    const next = await replacement(this.#files, this.#open, numberOf(this.#fileName) + 1);
    const { kept, lost } = await this.#moveTo(next);
    this.#setAside.push({
      path: before.file,
      reason: before.findings.slice(0, REASONS_MAX).join("; "),
      kept: catalog.everything().length + kept,
      lost,
    });
    return await this.check();
  }

  async #moveTo(next: { readonly catalog: Catalog; readonly fileName: string }) {
    const { catalog } = this.#opened;
    const before = this.#fileName;
    try {
      return await catalog.moveTo(next.catalog.database, () => {
        nameCatalog(this.#files, { fileName: next.fileName, before });
        this.#fileName = next.fileName;
      });
    } catch (error) {
      if (this.#fileName === before) {
        await next.catalog.close();
        takeAway(this.#files, next.fileName);
      }
      if (error instanceof DvsanError) throw error;
      const why = troubleOf(error) ?? "SQLite does not take it";
      throw new DvsanError(
        "io",
        `The catalog could not be written anew to ${this.#files.path(next.fileName)}: ${why} ` +
          `(${messageOf(error)}). The station goes on with ${this.#files.path(this.#fileName)}. ` +
          "Mend that and repair it again.",
        { cause: error },
      );
    }
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
    ...await historyFindings(catalog, "events"),
    ...await historyFindings(catalog, "taskLogs"),
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

/** Of what is not held in memory, the file alone can tell whether it is right. */
async function historyFindings(catalog: Catalog, table: HistoryTable): Promise<string[]> {
  try {
    const rows = await catalog.database.selectFrom(table as "events").selectAll().execute();
    return rows.flatMap((row) => {
      const reason = historyDamage(table, row);
      return reason === null ? [] : [`${table} ${historyKeyOf(table, row)}: ${reason}`];
    });
  } catch (error) {
    return [`${table}: cannot be read: ${messageOf(error)}`];
  }
}

function dangling(catalog: Catalog) {
  return danglingRows(
    new Map(CHECKED_TABLES.map((table) => [table, [...catalog[table].values()]])),
  );
}
