import assert from "node:assert/strict";
import { FAULT_KINDS, planOf } from "./plan.ts";

Deno.test("planOf() gives every kind of fault to some of as many seeds in a row as there are", () => {
  for (const from of [0, 1, 98_001, 1_000_000_007]) {
    const seeds = FAULT_KINDS.map((_, i) => from + i);
    const drawn = new Set(seeds.flatMap((seed) => planOf(seed).faults));
    assert.deepEqual(FAULT_KINDS.filter((kind) => !drawn.has(kind)), []);
  }
  for (let seed = 0; seed < 200; seed++) {
    const { faults } = planOf(seed);
    assert.equal(new Set(faults).size, faults.length, "each kind once");
  }
});
