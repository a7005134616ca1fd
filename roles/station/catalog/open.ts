import type { DatabaseSync } from "node:sqlite";
import { fromUtf8, utf8 } from "../../../protocol/core/bytes.ts";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type { StateFiles } from "../ports.ts";
import { Catalog } from "./catalog.ts";
import { migrate, unknownMigrations } from "./migrations.ts";
import { damageOf, kyselyOver, makeDurable, troubleOf } from "./sqlite.ts";

/** Names the database file in use, so that a damaged one can be left as it is. */
const POINTER = "catalog.current";
const ATTEMPTS_MAX = 8;

export interface OpenedCatalog {
  readonly catalog: Catalog;
  readonly fileName: string;
  /** Files that could not be used, with the reason; they were not touched. */
  readonly setAside: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Opens the catalog. A file that is damaged is left where it is and a fresh one is used in its
 * place: the station has to start, and will learn from its units what they hold. A file that only
 * cannot be used now (in use, full disk, another version's) ends the start instead: an empty
 * catalog in its place would forget what was wanted.
 */
export async function openCatalog(
  files: StateFiles,
  open: (name: string) => DatabaseSync,
): Promise<OpenedCatalog> {
  const setAside: { path: string; reason: string }[] = [];
  const pointer = fromUtf8(files.read(POINTER) ?? new Uint8Array())?.trim() ?? "";
  let number = /^catalog-(\d{1,4})\.sqlite$/.exec(pointer)?.[1] ?? "1";
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const fileName = `catalog-${number}.sqlite`;
    try {
      const catalog = await openOne(() => open(fileName));
      if (pointer !== fileName) files.write(POINTER, utf8(`${fileName}\n`));
      return { catalog, fileName, setAside };
    } catch (error) {
      refuseTrouble(files.path(fileName), error);
      setAside.push({ path: files.path(fileName), reason: messageOf(error) });
      number = String(Number(number) + 1);
    }
  }
  throw new DvsanError(
    "io",
    `Cannot open a catalog in ${files.path(".")}: ${setAside[0]?.reason}. ` +
      `${ATTEMPTS_MAX} files were tried. Check the disk, or give another --state folder.`,
    { details: setAside },
  );
}

/** Throws when the error is not about the file's content. */
function refuseTrouble(path: string, error: unknown): void {
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

async function openOne(open: () => DatabaseSync): Promise<Catalog> {
  const raw = open();
  try {
    makeDurable(raw);
    const damage = damageOf(raw);
    if (damage !== null) throw new DvsanError("io", `SQLite finds it damaged: ${damage}`);
    const newer = unknownMigrations(raw);
    if (newer.length > 0) {
      const message = `Cannot open the catalog: a newer dvsan wrote it (${newer.join(", ")}). ` +
        "Start that version.";
      throw new DvsanError("unsupported", message);
    }
    const database = kyselyOver(raw);
    await migrate(database);
    return await Catalog.load(database);
  } catch (error) {
    raw.close();
    throw error;
  }
}
