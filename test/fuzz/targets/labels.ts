import assert from "node:assert/strict";
import { decodeBody, decodeCopy, encodeBody, encodeCopies } from "../../../protocol/label/codec.ts";
import { judgeCopies } from "../../../protocol/label/judge.ts";
import { invalidLabel } from "../../../protocol/label/label.ts";
import { sampleLabel } from "../../../protocol/label/sample.ts";
import type { Chance } from "../chance.ts";
import type { FuzzTarget } from "../target.ts";

const REGION_BYTES = 64 * 1024;

/** What a medium may hold where its labels are: bent, torn, mixed, or foreign bytes. */
export const LABELS: FuzzTarget = {
  name: "labels",
  cases: 150,
  run(chance) {
    const regionA = region(chance, "A");
    const regionB = region(chance, "B");
    const found = judgeCopies(regionA, regionB);
    if (found.kind === "label") assert.equal(invalidLabel(found.label), null);
    for (const copy of ["A", "B"] as const) {
      const decoded = decodeCopy(copy === "A" ? regionA : regionB, copy);
      if ("label" in decoded) assert.equal(invalidLabel(decoded.label), null);
      else assert.ok(decoded.reason.length > 0);
    }
    const body = chance.bend(encodeBody(sampleLabel()));
    const decoded = decodeBody(body);
    if ("label" in decoded) assert.deepEqual(encodeBody(decoded.label), body);
  },
};

function region(chance: Chance, copy: "A" | "B"): Uint8Array {
  const whole = new Uint8Array(REGION_BYTES);
  const sequence = chance.between(1, 3);
  let bytes = encodeCopies({ ...sampleLabel(), sequence })[chance.oneIn(10) ? "A" : copy];
  if (chance.oneIn(3)) {
    const newer = encodeCopies({ ...sampleLabel(), sequence: sequence + 1 })[copy];
    bytes = bytes.slice();
    // Sectors of a newer writing over those of an older one: power was cut.
    for (let at = 0; at + 512 <= bytes.length; at += 512) {
      if (chance.oneIn(2)) bytes.set(newer.subarray(at, at + 512), at);
    }
  }
  for (let times = chance.below(3); times > 0; times--) bytes = chance.bend(bytes);
  whole.set(bytes.subarray(0, REGION_BYTES));
  return whole;
}
