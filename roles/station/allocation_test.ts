import assert from "node:assert/strict";
import fc from "fast-check";
import { GIB, MIB, VOLUME_HEADER_BYTES } from "../../protocol/core/limits.ts";
import { allocate, allocatedBytesOf, type Candidate } from "./allocation.ts";

function unit(name: string, freeMib: number, more: Partial<Candidate> = {}): Candidate {
  const freeBytes = freeMib * MIB;
  return {
    unitId: name,
    name,
    excluded: null,
    spare: false,
    volumes: 0,
    promisedBytes: 0,
    media: [{
      id: "m",
      path: "/dev/x",
      sizeBytes: freeBytes,
      freeBytes,
      zeroedBytes: freeBytes,
      largestVolumeBytes: Math.max(0, freeBytes - VOLUME_HEADER_BYTES),
      state: "ok",
      sequence: 1,
      errors: 0,
    }],
    ...more,
  };
}

Deno.test("allocate() takes the fullest unit that still has room, zeroed space first", () => {
  const dirty = unit("a", 5 * 1024);
  const notZeroed = { ...dirty, media: dirty.media.map((each) => ({ ...each, zeroedBytes: 0 })) };
  const units = [notZeroed, unit("b", 30 * 1024), unit("c", 8 * 1024), unit("d", 1024)];
  const { legs, units: reasons } = allocate(4 * GIB, { units });
  assert.deepEqual(legs, [{ unitId: "c", unit: "c", sizeBytes: 4 * GIB }]);
  assert.match(reasons[3]!.reason, /has 1023 MiB free, 4 GiB needed/);
  assert.match(reasons[1]!.reason, /fits better/);
});

Deno.test("allocate() counts headers and what was promised to others", () => {
  const exact = unit("a", 1025);
  assert.equal(allocate(GIB, { units: [exact] }).possible, true);
  assert.equal(allocate(GIB + 1, { units: [exact] }).possible, false);
  const promised = unit("a", 2048, { promisedBytes: 1024 * MIB });
  assert.equal(allocate(GIB, { units: [promised] }).possible, false);
});

Deno.test("allocate() leaves spares, absent and full units alone, and says so", () => {
  const units = [
    unit("a", 9000, { spare: true }),
    unit("b", 9000, { excluded: "silent for 12 s" }),
    unit("c", 9000, { media: [] }),
  ];
  const { possible, units: reasons } = allocate(GIB, { units });
  assert.equal(possible, false);
  assert.deepEqual(reasons.map((each) => each.reason), [
    "spare: held back to replace a unit that fails",
    "silent for 12 s",
    "has no media",
  ]);
});

Deno.test("allocate() never gives more than there is, and uses no leg too many", () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 4000 }), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(sizes, fc.integer({ min: 1, max: 12_000 }), (frees, wantedMib) => {
    const units = frees.map((free, index) => unit(`u${index}`, free));
    const { possible, legs } = allocate(wantedMib * MIB, { units });
    const rooms = frees.map((free) => Math.max(0, free - 1)).sort((a, b) => b - a);
    const total = rooms.reduce((sum, room) => sum + room, 0);
    assert.equal(possible, total >= wantedMib);
    if (!possible) return;
    assert.equal(legs.reduce((sum, leg) => sum + leg.sizeBytes, 0), wantedMib * MIB);
    for (const leg of legs) {
      const free = frees[Number(leg.unitId.slice(1))]! * MIB;
      assert.ok(leg.sizeBytes > 0 && allocatedBytesOf(leg.sizeBytes) <= free);
    }
    let fewest = 0;
    for (let room = 0; room < wantedMib; fewest++) room += rooms[fewest]!;
    assert.equal(legs.length, fewest);
  }));
});
