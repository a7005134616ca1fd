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
      "b/helper.ts": "new Deno.Command(program);",
    };
    for (const [name, text] of Object.entries(files)) {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
    }
    assert.deepEqual(
      filesThatStartProcesses([`${folder}/b`, `${folder}/a_test.ts`]),
      [`${folder}/b/c_test.ts`, `${folder}/b/d_test.ts`, `${folder}/a_test.ts`],
    );
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
