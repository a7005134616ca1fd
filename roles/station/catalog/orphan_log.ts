import type { StateFiles } from "../ports.ts";

const LOG = "-wal";
const LOG_HEADER_BYTES = 32;
const PAGE_BYTES = 4096;

/** A catalog's write-ahead log whose file is gone or empty. */
export interface OrphanLog {
  readonly bytes: Uint8Array;
  /** What became of the file, in words. */
  readonly reason: string;
}

/**
 * The log that lies beside the name of a catalog that is not there, or null. What was committed
 * last is there and nowhere else, maybe all of it; SQLite would delete it as the log of nothing.
 */
export function orphanLog(files: StateFiles, fileName: string): OrphanLog | null {
  const file = files.read(fileName);
  if (file !== null && file.length > 0) return null;
  const bytes = files.read(`${fileName}${LOG}`);
  if (bytes === null || bytes.length <= LOG_HEADER_BYTES) return null;
  return { bytes, reason: file === null ? "it is gone" : "it is empty" };
}

/** Makes a file of that name of which the log is the log: pages that it lacks are zero. */
export function fileOfLog(files: StateFiles, fileName: string, { bytes }: OrphanLog): void {
  // In this order: a log alone is found and taken again by a start after one that was cut here.
  files.write(`${fileName}${LOG}`, bytes);
  files.write(fileName, new Uint8Array(PAGE_BYTES));
}
