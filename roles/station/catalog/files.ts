import { fromUtf8, utf8 } from "../../../protocol/core/bytes.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import type { CatalogFiles } from "../ports.ts";
import { orphanLog } from "./orphan_log.ts";

/** Names the database file in use, so that a damaged one can be left as it is. */
export const POINTER = "catalog.current";
export const NUMBER_MAX = 999_999;
/** So many numbers in a row of which there is no file are behind the newest. */
const GAP_MAX = 8;
/** What SQLite keeps beside a database, and at last the database. */
const ENDS = ["-wal", "-shm", ""];

export function nameOf(number: number): string {
  return `catalog-${number}.sqlite`;
}

/** The number in a catalog's file name. */
export function numberOf(fileName: string): number {
  return Number(/\d+/.exec(fileName)?.[0] ?? "1");
}

/** What the file that names the catalog says, which may be anything; "" when there is none. */
export function namedIn(files: CatalogFiles): string {
  return fromUtf8(files.read(POINTER) ?? new Uint8Array())?.trim() ?? "";
}

/**
 * The next start takes this file. When that cannot be written it may be written all the same
 * (StateFiles): what was named before, if anything, is named again then.
 */
export function nameCatalog(
  files: CatalogFiles,
  { fileName, before }: { readonly fileName: string; readonly before: string },
): void {
  try {
    files.write(POINTER, utf8(`${fileName}\n`));
  } catch (error) {
    try {
      if (before !== "") files.write(POINTER, utf8(`${before}\n`));
    } catch {
      // The first error says what is to be mended.
    }
    throw error;
  }
}

/** Whether there is anything of it, also only its log, or something that cannot be read. */
export function isThere(files: CatalogFiles, fileName: string): boolean {
  return isUntouchable(files, fileName) || files.read(fileName) !== null;
}

/** It cannot be read, or is a log without its file: SQLite would delete that. */
export function isUntouchable(files: CatalogFiles, fileName: string): boolean {
  try {
    return orphanLog(files, fileName) !== null;
  } catch (error) {
    if (error instanceof DvsanError) return true;
    throw error;
  }
}

/** The number of the newest catalog that is there, or 0: the ones before it were set aside. */
export function newestOf(files: CatalogFiles): number {
  let newest = 0;
  for (let number = 1; number <= newest + GAP_MAX; number++) {
    if (files.read(nameOf(number)) !== null) newest = number;
  }
  return newest;
}

/** The first one from there on of which there is nothing. */
export function freeNumber(files: CatalogFiles, from: number): number {
  let number = from;
  while (isThere(files, nameOf(number))) number++;
  return number;
}

/**
 * Removes a catalog that was made just now from records that are elsewhere, too, and is closed;
 * not when it is named: then the next start takes it. Where it cannot be removed it stays, and is
 * in nobody's way.
 */
export function takeAway(files: CatalogFiles, fileName: string): void {
  try {
    if (namedIn(files) === fileName) return;
    for (const end of ENDS) files.remove(`${fileName}${end}`);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
