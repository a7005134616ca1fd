import type { DatabaseSync } from "node:sqlite";
import { pagesOfLog } from "./log_pages.ts";
import type { FreshSchema } from "./schema.ts";
import { openDatabaseFile } from "./sqlite.ts";

/** Where the header tells how many pages the file has. */
const PAGES_AT = 28;

/** A catalog's bytes: the file's and its write-ahead log's, null where there is none. */
export interface CatalogImage {
  readonly file: Uint8Array | null;
  readonly log: Uint8Array | null;
}

/**
 * A copy of the catalog in memory, with its header and schema as this version makes them: a bit
 * that is flipped there hides whole tables, though all their pages are as they were. What does not
 * fit to that schema reads as damaged, or as records of which the checksum is wrong. Null when
 * nothing is there.
 */
export function withKnownSchema(image: CatalogImage, fresh: FreshSchema): DatabaseSync | null {
  const bytes = copyOf(image, fresh);
  if (bytes === null) return null;
  const database = openDatabaseFile(":memory:");
  database.deserialize(bytes);
  return database;
}

function copyOf({ file, log }: CatalogImage, fresh: FreshSchema): Uint8Array | null {
  const { pageBytes, pages } = fresh;
  const newer = pagesOfLog(log ?? new Uint8Array(), pageBytes);
  const own = file ?? new Uint8Array();
  let count = Math.ceil(own.length / pageBytes);
  // There may be more of them than a call takes arguments.
  for (const number of newer.keys()) count = Math.max(count, number);
  if (count === 0) return null;
  const all = Math.max(count, ...pages.keys());
  const copy = new Uint8Array(all * pageBytes);
  copy.set(own);
  for (const each of [newer, pages]) {
    for (const [number, page] of each) copy.set(page, (number - 1) * pageBytes);
  }
  new DataView(copy.buffer).setUint32(PAGES_AT, all);
  return copy;
}
