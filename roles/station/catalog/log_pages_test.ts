import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { pagesOfLog } from "./log_pages.ts";

const PAGE_BYTES = 4096;
const FRAME_BYTES = 24 + PAGE_BYTES;
const HEADER_BYTES = 32;

/** The log of three commits of one page each, and the pages as each of them left them. */
function logged() {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/db`;
    using database = new DatabaseSync(path);
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x INTEGER)");
    database.exec("PRAGMA wal_checkpoint(RESTART)");
    const logs: Uint8Array[] = [];
    for (const value of [1, 2, 3]) {
      database.exec(`INSERT INTO t VALUES (${value})`);
      logs.push(Deno.readFileSync(`${path}-wal`));
    }
    return { log: logs[2]!, second: pagesOfLog(logs[1]!, PAGE_BYTES) };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at]! ^= 4;
  return copy;
}

Deno.test("pagesOfLog() gives each page as the last commit left it", () => {
  const { log, second } = logged();
  const found = pagesOfLog(log, PAGE_BYTES);
  const last = log.subarray(log.length - PAGE_BYTES);
  assert.deepEqual([...found], [[2, last]]);
  assert.notDeepEqual(second, found);
});

Deno.test("pagesOfLog() ends before what is damaged, torn or not committed", () => {
  const { log, second } = logged();
  const start = HEADER_BYTES + 2 * FRAME_BYTES;
  // Number of the page, pages after the commit, salt, checksum, page.
  for (const at of [start, start + 4, start + 8, start + 16, start + 24, log.length - 1]) {
    assert.deepEqual(pagesOfLog(flipped(log, at), PAGE_BYTES), second, `byte ${at}`);
  }
  assert.deepEqual(pagesOfLog(log.subarray(0, log.length - 1), PAGE_BYTES), second);
  for (const at of [0, 8, 11, 16, 24]) {
    assert.equal(pagesOfLog(flipped(log, at), PAGE_BYTES).size, 0, `byte ${at} of the header`);
  }
  assert.equal(pagesOfLog(log, 8192).size, 0);
  for (const length of [0, 1, HEADER_BYTES]) {
    assert.equal(pagesOfLog(log.subarray(0, length), PAGE_BYTES).size, 0);
  }
});

Deno.test("pagesOfLog() takes no page whose commit is not there", () => {
  const folder = Deno.makeTempDirSync();
  try {
    const path = `${folder}/db`;
    using database = new DatabaseSync(path);
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (x TEXT)");
    database.exec("PRAGMA wal_checkpoint(RESTART)");
    database.exec(`INSERT INTO t VALUES ('${"y".repeat(3 * PAGE_BYTES)}')`);
    const log = Deno.readFileSync(`${path}-wal`);
    assert.ok(pagesOfLog(log, PAGE_BYTES).size > 2);
    assert.equal(pagesOfLog(log.subarray(0, log.length - FRAME_BYTES), PAGE_BYTES).size, 0);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
