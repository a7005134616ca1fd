import assert from "node:assert/strict";
import fc from "fast-check";
import { intersect, normalise, type Ranges, subtract, totalOf, union } from "./ranges.ts";

const arbitrary = fc.array(fc.tuple(fc.nat(60), fc.nat(9)), { maxLength: 12 }).map((list) =>
  normalise(list)
);

function members(ranges: Ranges): Set<number> {
  const all = new Set<number>();
  for (const [start, length] of ranges) for (let i = 0; i < length; i++) all.add(start + i);
  return all;
}

function check(result: Ranges, expected: Set<number>) {
  assert.deepEqual([...members(result)].sort(), [...expected].sort());
  assert.equal(totalOf(result), expected.size);
  assert.deepEqual(result, normalise(result), "sorted, merged");
}

Deno.test("range arithmetic agrees with sets of numbers", () => {
  fc.assert(fc.property(arbitrary, arbitrary, (a, b) => {
    const [inA, inB] = [members(a), members(b)];
    check(union(a, b), new Set([...inA, ...inB]));
    check(subtract(a, b), new Set([...inA].filter((n) => !inB.has(n))));
    check(intersect(a, b), new Set([...inA].filter((n) => inB.has(n))));
  }));
});
