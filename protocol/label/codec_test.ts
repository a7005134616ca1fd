import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { encode } from "cborg";
import { testingOpenings } from "../config/testing_openings.ts";
import { fromHex } from "../core/bytes.ts";
import { OPENING_ID_BYTES, OPENINGS_KEPT_MAX } from "../core/limits.ts";
import { decodeBody, decodeCopy, encodeBody, encodeCopies } from "./codec.ts";
import { judgeCopies } from "./judge.ts";
import type { Label } from "./label.ts";
import { sampleLabel } from "./sample.ts";

function golden(name: "a" | "b"): Uint8Array {
  const text = readFileSync(new URL(`./data/label_${name}.hex`, import.meta.url), "utf8");
  return fromHex(text.replaceAll(/#.*$/gm, ""))!;
}

function region(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(64 * 1024);
  whole.set(bytes);
  return whole;
}

function reasonOf(bytes: Uint8Array): string {
  const decoded = decodeCopy(bytes, "A");
  assert("reason" in decoded, "a damaged copy was accepted");
  assert(decoded.reason.length > 3);
  return decoded.reason;
}

Deno.test("the golden vectors decode to the sample label and encode to themselves", () => {
  const copies = encodeCopies(sampleLabel());
  assert.deepEqual(copies.A, golden("a"));
  assert.deepEqual(copies.B, golden("b"));
  assert.deepEqual(decodeCopy(golden("a"), "A"), { label: sampleLabel() });
  assert.deepEqual(decodeCopy(golden("b"), "B"), { label: sampleLabel() });
});

Deno.test("decodeCopy() refuses the other copy, every truncation and every flipped bit", () => {
  const whole = golden("a");
  assert.match(reasonOf(golden("b")), /other copy/);
  for (let length = 0; length < whole.length; length++) reasonOf(whole.subarray(0, length));
  const flipped = whole.slice();
  for (let bit = 0; bit < whole.length * 8; bit++) {
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    reasonOf(flipped);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
  }
});

Deno.test("decodeBody() answers a reason for every truncation, flipped bit and random bytes", () => {
  const body = encodeBody(sampleLabel());
  for (let length = 0; length < body.length; length++) {
    assert("reason" in decodeBody(body.subarray(0, length)));
  }
  const flipped = body.slice();
  for (let bit = 0; bit < body.length * 8; bit++) {
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    const decoded = decodeBody(flipped);
    // The digest guards content; here only that what is accepted has the right form and sense.
    if ("label" in decoded) assert.deepEqual(encodeBody(decoded.label), flipped);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    assert("reason" in decodeBody(bytes));
    assert("reason" in decodeCopy(bytes, "A"));
  }));
});

Deno.test("decodeBody() refuses labels that make no sense", () => {
  const cases: [string, (label: Label) => void, RegExp][] = [
    ["overlap", (it) => it.volumes[1]!.extents[0]![1] = 5, /overlap/],
    ["past the end", (it) => it.volumes[1]!.extents[0]![1] = 60, /past the end/],
    ["in the label", (it) => it.volumes[0]!.extents[0]![1] = 0, /label/],
    ["too small", (it) => it.volumes[0]!.sizeBytes = 10 * 2 ** 20, /hold its size/],
    ["same number", (it) => it.volumes[1]!.number = 1, /number 1 is there twice/],
    ["same id", (it) => it.volumes[1]!.id = it.volumes[0]!.id, /is there twice/],
    ["unknown number", (it) => it.nextNumber = 2, /never given out/],
    ["foreign record", (it) => it.volumes[0]!.media = [it.volumes[1]!.media[1]!], /no extent/],
    ["zeroed label", (it) => it.zeroed[0] = [0, 4], /zeroed range/],
    ["unsorted zeroed", (it) => it.zeroed.reverse(), /zeroed range/],
    ["fence", (it) => it.volumes[0]!.fencedThrough = { epoch: 4, counter: 0 }, /fence disagree/],
    ["more granted", (it) => it.volumes[0]!.grant!.sizeBytes *= 2, /more is granted/],
    ["no index", (it) => it.volumes[0]!.extents[0]![0] = 3, /names no medium/],
  ];
  for (const [name, change, expected] of cases) {
    const label = sampleLabel();
    change(label);
    const decoded = decodeBody(encode(label));
    assert("reason" in decoded, name);
    assert.match(decoded.reason, expected, name);
  }
});

Deno.test("judgeCopies() believes what a crash leaves and nothing else", () => {
  const at = (sequence: number) => encodeCopies({ ...sampleLabel(), sequence });
  const judge = (a: Uint8Array, b: Uint8Array) => {
    const found = judgeCopies(region(a), region(b));
    if (found.kind === "quarantined") return `quarantined ${found.label?.sequence ?? "-"}`;
    if (found.kind !== "label") return found.kind;
    return `${found.label.sequence} ${found.rewrite.join("") || "-"}`;
  };
  const torn = (older: Uint8Array, newer: Uint8Array) => {
    const mixed = older.slice();
    mixed.set(newer.subarray(512, 1536), 512);
    return mixed;
  };
  const nothing = new Uint8Array(0);
  assert.equal(judge(nothing, nothing), "blank");
  assert.equal(judge(at(7).A, at(7).B), "7 -");
  assert.equal(judge(at(8).A, at(7).B), "8 AB");
  assert.equal(judge(torn(at(7).A, at(8).A), at(7).B), "7 A");
  assert.equal(judge(at(8).A, torn(at(7).B, at(8).B)), "8 B");
  assert.equal(judge(at(1).A, nothing), "1 AB");
  assert.equal(judge(torn(new Uint8Array(4096), at(1).A), nothing), "blank");
  assert.equal(judge(at(9).A, at(7).B), "quarantined 9");
  assert.equal(judge(at(7).A, at(8).B), "quarantined 8");
  assert.equal(judge(torn(at(8).A, at(9).A), at(7).B), "quarantined 7");
  assert.equal(judge(nothing, at(7).B), "quarantined 7");
  assert.equal(judge(at(7).A, nothing), "quarantined 7");
  const rotten = at(7).A.slice();
  rotten[700]! ^= 1;
  assert.equal(judge(rotten, at(7).B), "quarantined 7", "damage is no crash");
  const other = { ...sampleLabel(), mediumId: "0a0b0c0d-0e0f-4011-8213-14151617181a" };
  other.volumes = [];
  assert.equal(judge(at(7).A, encodeCopies(other).B), "quarantined -");
  const ofOther = encodeCopies(other).A.slice();
  assert.equal(judge(ofOther, at(7).B), "quarantined -");
  ofOther[700]! ^= 1;
  assert.equal(judge(ofOther, at(7).B), "quarantined -", "also where it is damaged besides");
  assert.equal(
    judge(torn(at(7).A, encodeCopies(other).A), at(7).B),
    "quarantined 7",
    "its own too",
  );
  assert.equal(judge(new Uint8Array(4096).fill(3), nothing), "none");
});

Deno.test("a label tells its medium's last openings, and no list of another form is taken", () => {
  const openings = testingOpenings("d9 c7 b5 a2");
  const label = { ...sampleLabel(), openings };
  assert.deepEqual(decodeCopy(encodeCopies(label).A, "A"), { label });
  const many = Array.from({ length: OPENINGS_KEPT_MAX }, (_, i) => testingOpenings(`x${i + 1}`)[0]);
  assert.ok("label" in decodeBody(encode({ ...label, openings: many })));
  const [one] = openings;
  const short = [new Uint8Array(OPENING_ID_BYTES - 1), 2];
  for (const wrong of [[], [...many, one], [short], [[one![0], 0]], [[one![0]]], "d9"]) {
    const decoded = decodeBody(encode({ ...label, openings: wrong }));
    assert.ok("reason" in decoded && /openings/.test(decoded.reason), JSON.stringify(wrong));
  }
});
