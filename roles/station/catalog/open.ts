import type { DatabaseSync } from "node:sqlite";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type { CatalogFiles } from "../ports.ts";
import { Catalog } from "./catalog.ts";
import {
  freeNumber,
  isThere,
  nameCatalog,
  namedIn,
  nameOf,
  newestOf,
  POINTER,
  takeAway,
} from "./files.ts";
import { beginRecovered } from "./recovered.ts";
import { fileOfLog, type OrphanLog, orphanLog } from "./orphan_log.ts";
import { type CatalogImage, withKnownSchema } from "./known_schema.ts";
import { openOne, refuseTrouble, replacement } from "./replacement.ts";
import { salvage, type Salvaged } from "./salvage.ts";
import { freshSchema, type TableShapes } from "./schema.ts";
import { headerDamageOf, readDamaged } from "./sqlite.ts";

const CLUSTER_KEY = "cluster";

/** A catalog file that is not used any more. */
export interface SetAside {
  readonly path: string;
  readonly reason: string;
  /** Records that were taken over from it. */
  readonly kept: number;
  /** Records that were not, with the reason. */
  readonly lost: readonly string[];
}

export interface OpenedCatalog {
  readonly catalog: Catalog;
  readonly fileName: string;
  readonly setAside: readonly SetAside[];
  /** Why the catalog does not tell all that was wanted, in sentences; it keeps them by itself. */
  readonly problems: readonly string[];
}

export interface OpenOptions {
  readonly clusterId: string;
  /** The station's identity was made just now: there was no catalog before. */
  readonly isNew: boolean;
}

type OpenDatabase = (name: string) => DatabaseSync;

/** What an opening has made so far, which is no catalog before it is named. */
interface Made {
  readonly fileNames: string[];
  readonly catalogs: Catalog[];
}

/**
 * Opens the catalog. A file that is damaged, or of another cluster, stays where it is; a fresh one
 * gets every record of it that is still right, and the station learns the rest from its units. A
 * file that only cannot be used now (in use, full disk, another version's) ends the start instead:
 * a catalog with less in it would forget what was wanted.
 */
export async function openCatalog(
  files: CatalogFiles,
  open: OpenDatabase,
  options: OpenOptions,
): Promise<OpenedCatalog> {
  const made: Made = { fileNames: [], catalogs: [] };
  try {
    return await openInto(made, { files, open, options });
  } catch (error) {
    // The first error says what is to be mended.
    for (const catalog of made.catalogs) await catalog.close().catch(() => {});
    for (const fileName of made.fileNames) takeAway(files, fileName);
    throw error;
  }
}

async function openInto(
  made: Made,
  { files, open, options }: {
    readonly files: CatalogFiles;
    readonly open: OpenDatabase;
    readonly options: OpenOptions;
  },
): Promise<OpenedCatalog> {
  const pointer = namedIn(files);
  const named = Number(/^catalog-(\d{1,6})\.sqlite$/.exec(pointer)?.[1] ?? "0");
  // A name of which there is nothing may be what is damaged.
  const first = isThere(files, nameOf(named)) ? named : newestOf(files) || named || 1;
  const wanted = nameOf(first);
  const path = files.path(wanted);
  const log = orphanLog(files, wanted);
  const number = log === null ? first : freeNumber(files, first + 1);
  const fileName = nameOf(number);
  if (log !== null) {
    made.fileNames.push(fileName);
    fileOfLog(files, fileName, log);
  }
  const found = await examine(() => open(fileName), {
    path,
    clusterId: options.clusterId,
    // As it is before SQLite opens it, and maybe writes to it.
    image: { file: files.read(fileName), log: files.read(`${fileName}-wal`) },
  });
  if ("catalog" in found) made.catalogs.push(found.catalog);
  if (log !== null || !("catalog" in found)) {
    const aside = setAsideOf(found, path, log);
    const gone = named > 0 && named !== first
      ? [`The catalog ${files.path(nameOf(named))} was missing.`]
      : [];
    const problems = [...gone, setAsideWords(aside)];
    const next = "catalog" in found
      ? { catalog: found.catalog, fileName }
      : await replacement(files, open, number + 1);
    if (!("catalog" in found)) {
      made.catalogs.push(next.catalog);
      made.fileNames.push(next.fileName);
      await next.catalog.commit(found.kept);
    }
    await beginRecovered(next.catalog, problems);
    await keepCluster(next.catalog, options.clusterId);
    nameCatalog(files, { fileName: next.fileName, before: pointer });
    return { ...next, setAside: [aside], problems };
  }
  const isFresh = !found.catalog.meta.has(CLUSTER_KEY);
  const missing = isFresh && !options.isNew;
  const problems = missing
    ? [`The catalog ${path} was missing: a new one was made.`]
    // A first start that was cut before it wrote the name leaves nothing to be missed.
    : named !== first && (named + first > 1 || found.catalog.nodes.size > 0)
    ? [`${files.path(POINTER)}, which names the catalog, was not right: ${path} was taken.`]
    : [];
  await beginRecovered(found.catalog, problems);
  await keepCluster(found.catalog, options.clusterId);
  if (pointer !== fileName) nameCatalog(files, { fileName, before: pointer });
  return { catalog: found.catalog, fileName, setAside: [], problems };
}

function setAsideOf(found: Examined, path: string, log: OrphanLog | null): SetAside {
  const isWhole = "catalog" in found;
  const fromLog = log === null ? "" : `${log.reason}, and its write-ahead log is not`;
  return {
    path,
    reason: isWhole ? fromLog : [fromLog, found.reason].filter((words) => words !== "").join("; "),
    kept: isWhole ? found.catalog.everything().length : found.kept.length,
    lost: isWhole ? [] : found.lost,
  };
}

export function setAsideWords({ path, reason, kept, lost }: SetAside): string {
  const what = lost.length === 0 ? "" : ` Not taken over: ${lost.join("; ")}.`;
  return `The catalog ${path} could not be used and was left as it is: ${reason}. ` +
    `${kept} records of it were taken over.${what}`;
}

type Examined = { readonly catalog: Catalog } | Salvaged & { readonly reason: string };

async function examine(
  open: () => DatabaseSync,
  { path, clusterId, image }: {
    readonly path: string;
    readonly clusterId: string;
    readonly image: CatalogImage;
  },
): Promise<Examined> {
  let reason: string;
  try {
    const damage = headerDamageOf(image.file);
    if (damage !== null) throw new DvsanError("io", damage);
    const catalog = await openOne(open());
    const cluster = catalog.meta.get(CLUSTER_KEY)?.value ?? clusterId;
    if (cluster === clusterId) return { catalog };
    await catalog.close();
    return { reason: `it belongs to cluster ${cluster}`, kept: [], proven: 0, lost: [] };
  } catch (error) {
    refuseTrouble(path, error);
    reason = messageOf(error);
  }
  const fresh = await freshSchema();
  const about = { clusterId, shapes: fresh.shapes };
  // Opened once more: what could be read before it was found damaged is closed.
  const own = salvageFile(open, about);
  const copy = withKnownSchema(image, fresh);
  const known = copy === null ? own : salvageFile(() => copy, about);
  return { reason, ...known.proven > own.proven ? known : own };
}

function salvageFile(
  open: () => DatabaseSync,
  { clusterId, shapes }: { readonly clusterId: string; readonly shapes: TableShapes },
): Salvaged {
  try {
    using database = disposable(open());
    readDamaged(database.raw);
    const salvaged = salvage(database.raw, shapes);
    const cluster = salvaged.kept.find((change) =>
      change.table === "meta" && "put" in change && change.put.key === CLUSTER_KEY
    );
    const foreign = cluster !== undefined && "put" in cluster && cluster.table === "meta" &&
      cluster.put.value !== clusterId;
    return foreign
      ? { kept: [], proven: 0, lost: ["all of it: it belongs to another cluster"] }
      : salvaged;
  } catch (error) {
    return { kept: [], proven: 0, lost: [`all of it: ${messageOf(error)}`] };
  }
}

function disposable(raw: DatabaseSync): Disposable & { readonly raw: DatabaseSync } {
  return { raw, [Symbol.dispose]: () => raw.close() };
}

async function keepCluster(catalog: Catalog, clusterId: string): Promise<void> {
  if (catalog.meta.has(CLUSTER_KEY)) return;
  await catalog.commit([{ table: "meta", put: { key: CLUSTER_KEY, value: clusterId } }]);
}
