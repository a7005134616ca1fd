import assert from "node:assert/strict";
import { filesThatStartProcesses } from "./suites.ts";

Deno.test("filesThatStartProcesses() finds test files by what they use, in all folders", () => {
  const folder = Deno.makeTempDirSync();
  try {
    Deno.mkdirSync(`${folder}/b`);
    const files = {
      "a_test.ts": "new Deno.Command(program);",
      "b/c_test.ts": 'testWith({ name: "x" });',
      "b/d_test.ts": 'import { spawnSync } from "node:child_process";',
      "b/e_test.ts": "const command = 1;",
      "b/f_test.ts": "assert.equal(needs({ netns: true }), null);",
      "b/helper.ts": "new Deno.Command(program);",
    };
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    assert.deepEqual(
      filesThatStartProcesses([`${folder}/b`, `${folder}/a_test.ts`]),
      ["b/c_test.ts", "b/d_test.ts", "b/f_test.ts", "a_test.ts"].map((name) => `${folder}/${name}`),
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
