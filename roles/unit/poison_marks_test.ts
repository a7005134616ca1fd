import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { createLog, silentLog } from "../../protocol/core/log.ts";
import { memoryFiles } from "./memory_files_testing.ts";
import { PoisonMarks } from "./poison_marks.ts";

const MEDIUM = "11111111-1111-4111-8111-111111111111";

Deno.test("PoisonMarks outlive the process, and go when the medium is good again", () => {
  const files = memoryFiles();
  const marks = new PoisonMarks(files, silentLog());
  marks.keep({});
  assert.equal(files.writes, 0);
  marks.keep({ [MEDIUM]: "a flush failed" });
  marks.keep({ [MEDIUM]: "a flush failed" });
  assert.equal(files.writes, 1);
  assert.deepEqual(new PoisonMarks(files, silentLog()).known, { [MEDIUM]: "a flush failed" });
  marks.keep({});
  assert.deepEqual(new PoisonMarks(files, silentLog()).known, {});
});

Deno.test("PoisonMarks forget a damaged file and say so", () => {
  for (const text of ["", "[]", '{"x":"y"}', `{"${MEDIUM}":1}`]) {
    const files = memoryFiles();
    files.write("poisoned-media.json", utf8(text));
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line.message));
    assert.deepEqual(new PoisonMarks(files, log).known, {}, text);
    assert.equal(lines.length, 1, text);
  }
});
