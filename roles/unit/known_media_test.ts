import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog } from "../../protocol/core/log.ts";
import { KnownMedia } from "./known_media.ts";
import { memoryFiles } from "./memory_files_testing.ts";

const VOLUME = "11111111-1111-4111-8111-111111111111";

Deno.test("KnownMedia outlives a state directory that takes no marks of direct use, and says so", () => {
  const files = memoryFiles();
  const write = files.write;
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line.level));
  const media = new KnownMedia(files, log);
  const marks = { [VOLUME]: "1.1 boot" };
  files.write = () => {
    throw new DvsanError("io", "the file system is full");
  };
  assert.equal(media.keepDirect(marks), false);
  assert.deepEqual(lines, ["error"]);
  assert.deepEqual(media.known().directMarks, {});
  files.write = write;
  assert.equal(media.keepDirect(marks), true, "the same marks are tried again");
  assert.deepEqual(new KnownMedia(files, log).known().directMarks, marks);
  files.write = () => {
    throw new TypeError("a mistake of ours");
  };
  assert.throws(() => media.keepDirect({}), TypeError);
  assert.deepEqual(lines, ["error"]);
});
