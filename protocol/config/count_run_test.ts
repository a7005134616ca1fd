import assert from "node:assert/strict";
import fc from "fast-check";
import { countRun, countsOf, runOf, totalOf } from "./count_run.ts";

const LENGTH = 22;

Deno.test("runOf() leaves out what is 0 at both ends, and countsOf() puts it back", () => {
  const count = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.maxSafeNat());
  fc.assert(
    fc.property(fc.array(count, { minLength: LENGTH, maxLength: LENGTH }), (counts) => {
      const run = runOf(counts);
      assert.deepEqual(countsOf(run, LENGTH), counts);
      assert.deepEqual(countRun(LENGTH).parse(run), run);
      assert.equal(totalOf(run), counts.reduce((sum, each) => sum + each, 0));
    }),
    { seed: 4 },
  );
  assert.deepEqual(runOf([0, 0, 3, 0, 1, 0]), [2, 3, 0, 1]);
  assert.deepEqual(runOf([0, 0]), []);
});

Deno.test("countRun() refuses what does not fit", () => {
  const schema = countRun(4);
  for (const run of [[], [0, 1, 2, 3, 4], [3, 9]]) {
    assert.ok(schema.safeParse(run).success, `${run}`);
  }
  for (const run of [[0], [4, 1], [3, 1, 1], [0, 1, 2, 3, 4, 5], [-1, 1], [0, 0.5]]) {
    assert.ok(!schema.safeParse(run).success, `${run}`);
  }
});
