import assert from "node:assert/strict";
import { editsOf, planted } from "./mutation.ts";
import { MUTATIONS } from "./table.ts";

Deno.test("every mutation still fits its file exactly once, and has a name of its own", () => {
  const root = new URL("../../../", import.meta.url);
  const problems = MUTATIONS.flatMap(editsOf).map((edit) =>
    planted(edit, Deno.readTextFileSync(new URL(edit.file, root)))
  ).filter((result) => typeof result === "string");
  assert.deepEqual(problems, []);
  assert.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length);
});
