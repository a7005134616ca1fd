import assert from "node:assert/strict";
import { PARTS, suitesOf } from "./plan.ts";

const ROOT = new URL("../..", import.meta.url).pathname;

Deno.test("each test file of the repository is in one suite, and in no other", () => {
  const suites = suitesOf(ROOT);
  for (const { name, files } of suites) {
    assert.ok(files.length > 0, `suite ${name} is empty`);
    assert.deepEqual(files, [...files].sort());
  }
  const planned = suites.flatMap(({ files }) => files).sort();
  const found = [...filesThatDenoTests("")].sort();
  assert.ok(found.length > 200, `only ${found.length} files were found`);
  assert.deepEqual(planned, found);
});

/** What `deno test` without a path would run (docs.deno.com, "Testing"). */
function* filesThatDenoTests(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(ROOT + folder)) {
    const path = folder + name;
    if (isDirectory) {
      if (!/^(\..*|node_modules|dist)$/.test(name)) yield* filesThatDenoTests(`${path}/`);
    } else if (/(?:^|[._])test\.(?:[cm]?[jt]s|[jt]sx)$/.test(name)) yield path;
  }
}

Deno.test("suitesOf() finds test files that start processes by what they use", () => {
  const root = Deno.makeTempDirSync();
  try {
    for (const part of PARTS) Deno.mkdirSync(`${root}/${part}`);
    const files = {
      "roles/a_test.ts": "new Deno.Command(program);",
      "storage/b/a_test.ts": 'testWith({ name: "x" });',
      "web/a_test.tsx": 'import { spawnSync } from "node:child_process";',
      "test/new/a_test.ts": "assert.equal(needs({ netns: true }), null);",
      "test/new/b_test.ts": "const command = 1;",
      "test/new/helper.ts": "new Deno.Command(program);",
      "protocol/a_test.ts": "const command = 1;",
      "test/e2e/a_test.ts": "new Deno.Command(program);",
    };
    for (const [name, text] of Object.entries(files)) {
      Deno.mkdirSync(`${root}/${name.slice(0, name.lastIndexOf("/"))}`, { recursive: true });
      Deno.writeTextFileSync(`${root}/${name}`, text);
    }
    const planned = suitesOf(root).filter((suite) => suite.files.length > 0);
    assert.deepEqual(planned, [
      { name: "unit", files: ["protocol/a_test.ts", "test/new/b_test.ts"], isParallel: true },
      {
        name: "processes",
        files: ["roles/a_test.ts", "storage/b/a_test.ts", "test/new/a_test.ts", "web/a_test.tsx"],
        isParallel: false,
      },
      { name: "e2e", files: ["test/e2e/a_test.ts"], isParallel: false },
    ]);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
