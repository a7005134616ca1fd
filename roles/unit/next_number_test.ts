import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { VOLUME_NUMBER_MAX } from "../../protocol/core/limits.ts";
import { createLog } from "../../protocol/core/log.ts";
import { NEXT_NUMBER_FILE } from "../process/settings.ts";
import { memoryFiles } from "./memory_files_testing.ts";
import { NextNumber } from "./next_number.ts";

function world() {
  const files = memoryFiles();
  const lines: string[] = [];
  const log = createLog(({ level }) => lines.push(level));
  return { files, lines, open: (isNew = false) => new NextNumber(files, { log, isNew }) };
}

Deno.test("NextNumber never goes down, outlives its process, and writes only what is new", () => {
  const { files, lines, open } = world();
  const number = open(true);
  assert.equal(number.value, 1);
  for (const to of [1, 4, 3, 4]) number.raise(to);
  assert.deepEqual([number.value, files.writes], [4, 2]);
  assert.equal(open().value, 4);
  assert.deepEqual(lines, []);
});

Deno.test("a unit that has media and never made a volume is not told at each start of a lost record", () => {
  const { lines, open } = world();
  open(true).raise(1);
  assert.equal(open().value, 1);
  assert.deepEqual(lines, []);
});

Deno.test("a record of numbers that is damaged or gone stops nothing, and is told", () => {
  const absurd = `{"nextNumber":${VOLUME_NUMBER_MAX + 1}}`;
  for (const text of [null, "", "7", '{"nextNumber":0}', '{"nextNumber":1.5}', absurd]) {
    const { files, lines, open } = world();
    if (text !== null) files.write(NEXT_NUMBER_FILE, utf8(text));
    const number = open();
    assert.deepEqual([number.value, lines], [1, ["warn"]], String(text));
    number.raise(9);
    assert.equal(open().value, 9, String(text));
  }
});
