import assert from "node:assert/strict";
import fc from "fast-check";
import { Coverage } from "./coverage.ts";

Deno.test("Coverage is whole once every byte was filled, in any order, and refuses overlaps", () => {
  const piece = fc.tuple(fc.integer({ min: -2, max: 34 }), fc.integer({ min: 1, max: 8 }));
  fc.assert(fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
    const coverage = new Coverage({ runsMax: 64 });
    coverage.reset(0, 32);
    const filled = new Uint8Array(32);
    for (const [from, length] of pieces) {
      const to = from + length;
      const answer = coverage.add(from, to);
      if (from < 0 || to > 32) {
        assert.equal(answer, "outside");
      } else if (filled.subarray(from, to).includes(1)) {
        assert.equal(answer, "overlapping");
      } else {
        assert.equal(answer, null);
        filled.fill(1, from, to);
      }
      assert.equal(coverage.isWhole, !filled.includes(0));
    }
  }));
});

Deno.test("Coverage bounds what scattered pieces make it keep", () => {
  const coverage = new Coverage({ runsMax: 3 });
  coverage.reset(100, 200);
  for (const from of [100, 110, 120]) assert.equal(coverage.add(from, from + 1), null);
  assert.equal(coverage.add(130, 131), "scattered");
  assert.equal(coverage.add(121, 131), null);
  coverage.reset(5, 5);
  assert.equal(coverage.isWhole, true);
});
