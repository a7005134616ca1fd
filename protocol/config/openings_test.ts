import assert from "node:assert/strict";
import { OPENINGS_KEPT_MAX } from "../core/limits.ts";
import { hasComeOf, type MediumPast, MediumPast as Schema, withOpening } from "./openings.ts";
import { testingOpenings } from "./testing_openings.ts";

function at(sequence: number, text: string): MediumPast {
  return Schema.parse({ sequence, openings: testingOpenings(text) });
}

Deno.test("hasComeOf() is no where the opening that was seen is not in a list that has room", () => {
  assert.equal(hasComeOf(at(9, "b5 a2"), at(9, "b5 a2")), "yes", "the same");
  assert.equal(hasComeOf(at(12, "b5 a2"), at(9, "b5 a2")), "yes", "its label was written since");
  assert.equal(hasComeOf(at(12, "d12 c10 b5 a2"), at(9, "b5 a2")), "yes", "opened twice since");
  assert.equal(hasComeOf(at(99, "c4 a2"), at(9, "b5 a2")), "no", "b never was");
  assert.equal(hasComeOf(at(99, "x4"), at(9, "b5 a2")), "no");
});

Deno.test("hasComeOf() is no where the label was behind what was seen in the same opening", () => {
  assert.equal(hasComeOf(at(8, "b5 a2"), at(9, "b5 a2")), "no", "a machine that was resumed");
  assert.equal(hasComeOf(at(40, "c9 b5 a2"), at(9, "b5 a2")), "no", "opened at 8");
  assert.equal(hasComeOf(at(10, "c10 b5 a2"), at(9, "b5 a2")), "yes", "opened at 9");
});

Deno.test("hasComeOf() does not know of one that was opened as often as a label tells", () => {
  let openings = testingOpenings("b5 a2");
  const past = at(9, "b5 a2");
  for (let i = 1; i <= OPENINGS_KEPT_MAX; i++) {
    const isTold = i < OPENINGS_KEPT_MAX;
    openings = withOpening(openings, testingOpenings(`${String.fromCharCode(64 + i)}${9 + i}`)[0]!);
    assert.ok(openings.length <= OPENINGS_KEPT_MAX);
    const told = hasComeOf({ openings, sequence: 9 + i }, past);
    assert.equal(told, isTold ? "yes" : "unknown", `${i} openings later`);
  }
  const older = openings.map(([id], i) => [id, 20 - i] as [Uint8Array, number]);
  assert.equal(hasComeOf({ openings: older, sequence: 20 }, past), "no", "the first was too early");
});
