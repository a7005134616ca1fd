import assert from "node:assert/strict";
import { createLog, silentLog } from "../../protocol/core/log.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { memoryFiles } from "./memory_files_testing.ts";
import { LabelSequences } from "./sequences.ts";

const MEDIUM = "11111111-1111-4111-8111-111111111111";
const OTHER = "22222222-2222-4222-8222-222222222222";

Deno.test("LabelSequences keeps the highest of each medium, also of one that is away", () => {
  const files = memoryFiles();
  const sequences = new LabelSequences(files, silentLog());
  sequences.keep({ [MEDIUM]: 5, [OTHER]: 9 });
  sequences.keep({ [MEDIUM]: 7 });
  sequences.keep({ [MEDIUM]: 6, [OTHER]: 9 });
  assert.equal(files.writes, 2);
  const again = new LabelSequences(files, silentLog());
  assert.deepEqual(again.known, { [MEDIUM]: 7, [OTHER]: 9 });
});

Deno.test("LabelSequences forgets a damaged file and says so", () => {
  for (const text of ["", "[]", '{"x":1}', `{"${MEDIUM}":-1}`]) {
    const files = memoryFiles();
    files.write("label-sequences.json", utf8(text));
    const lines: string[] = [];
    const log = createLog((line) => lines.push(line.message));
    assert.deepEqual(new LabelSequences(files, log).known, {}, text);
    assert.equal(lines.length, 1, text);
  }
});
