import assert from "node:assert/strict";
import { editsOf, planted } from "./mutation.ts";
import { RECORDED, withCatches } from "./recorded.ts";
import { MUTATIONS } from "./table.ts";

Deno.test("every mutation still fits its file exactly once, and has a name of its own", () => {
  const root = new URL("../../../", import.meta.url);
  const problems = MUTATIONS.flatMap(editsOf).map((edit) =>
    planted(edit, Deno.readTextFileSync(new URL(edit.file, root)))
  ).filter((result) => typeof result === "string");
  assert.deepEqual(problems, []);
  assert.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length);
});

Deno.test("every mutation has a seed that shows it", () => {
  const without = MUTATIONS.map(({ name }) => name).filter((name) => !(name in RECORDED));
  assert.deepEqual(without, [], "deno task sim --mutations NAME --record");
});

Deno.test("withCatches() keeps what was not looked for, and forgets mutations that are gone", () => {
  const old = {
    kept: { seed: 1, checker: "blocks", event: 10 },
    newer: { seed: 2, checker: "blocks", event: 20 },
    gone: { seed: 3, checker: "blocks", event: 30 },
  };
  const caught = new Map([["newer", { seed: 4, checker: "fences", event: 40 }]]);
  const text = withCatches(old, { caught, names: ["newer", "kept", "never-caught"] });
  assert.deepEqual(JSON.parse(text), {
    kept: { seed: 1, checker: "blocks", event: 10 },
    newer: { seed: 4, checker: "fences", event: 40 },
  });
});
