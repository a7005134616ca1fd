import assert from "node:assert/strict";
import { GIB } from "../../protocol/core/limits.ts";
import type { GrantInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import type { GrantRow, TombstoneRow, VolumeRow } from "./catalog/rows.ts";
import { type PlanInput, planVolume } from "./plan.ts";

const VOLUME = "aaaaaaaa-0000-4000-8000-000000000001";
const HOST = "f".repeat(32);

function grantOf(counter: number, changes: Partial<GrantInfo> = {}): GrantInfo {
  return {
    generation: { epoch: 3, counter },
    hostId: HOST,
    hostKey: new Uint8Array(32),
    state: "active",
    sizeBytes: GIB,
    ...changes,
  };
}

function heldWith(grant: GrantInfo | null): VolumeInfo {
  return {
    id: VOLUME,
    number: 1,
    sizeBytes: GIB,
    startLba: 0,
    endLba: GIB / 512 - 1,
    media: [VOLUME],
    sequence: 5,
    state: "ready",
    zeroedBytes: GIB,
    allocatedBytes: GIB,
    leg: {
      diskId: VOLUME,
      diskName: "db",
      layout: "linear",
      leg: 0,
      legs: 1,
      ownerId: HOST,
      ownerName: "h1",
      ownerKey: new Uint8Array(32),
    },
    grant,
  };
}

const ROW: VolumeRow = {
  id: VOLUME,
  diskId: VOLUME,
  unitId: "u1",
  leg: 0,
  sizeBytes: GIB,
  publishedBytes: GIB,
  created: 1,
  number: 1,
  startLba: 0,
};
const GRANT: GrantRow = {
  volumeId: VOLUME,
  epoch: 3,
  counter: 5,
  state: "active",
  grantedBytes: GIB,
  tokenHash: null,
  addressesJson: null,
};
const TOMBSTONE: TombstoneRow = {
  volumeId: VOLUME,
  unitId: "u1",
  diskId: VOLUME,
  epoch: 3,
  counter: 9,
  knownEpoch: 3,
  knownCounter: 5,
  done: 0,
  reason: "released",
  createdMs: 0,
};

function planOf(changes: Partial<PlanInput>) {
  return planVolume({
    unitId: "u1",
    volume: ROW,
    grant: GRANT,
    tombstone: null,
    held: heldWith(grantOf(5)),
    heldAtHome: null,
    legs: 1,
    mayChangeLength: true,
    isRebuilt: false,
    isInUse: true,
    isPutBack: false,
    destroysNothing: false,
    ...changes,
  });
}

Deno.test("planVolume() grants nothing on a medium that was put back, and shuts out as ever", () => {
  const newer = { grant: { ...GRANT, counter: 6 } };
  assert.equal(planOf(newer).step?.kind, "grant");
  const shutOut = planOf({ ...newer, isPutBack: true }).step;
  assert.deepEqual(shutOut?.kind === "revoke" && shutOut.generation, { epoch: 3, counter: 5 });
  const held = heldWith(grantOf(5, { state: "fenced" }));
  const { step, difference } = planOf({ ...newer, held, isPutBack: true });
  assert.equal(step, null);
  assert.match(difference!, /^is to be granted, but a medium of it is older than before/);
  const buried = { volume: null, grant: null, tombstone: TOMBSTONE, isPutBack: true };
  assert.equal(planOf(buried).step?.kind, "revoke");
});

Deno.test("planVolume() deletes by a tombstone, and fences before", () => {
  const buried = { volume: null, grant: null, tombstone: TOMBSTONE };
  const step = planOf(buried).step;
  assert.deepEqual(step?.kind === "revoke" && step.generation, { epoch: 3, counter: 9 });
  const fenced = heldWith(grantOf(5, { state: "fenced" }));
  assert.equal(planOf({ ...buried, held: fenced }).step?.kind, "delete");
  assert.equal(planOf({ ...buried, held: null }).step?.kind, "bury");
  const done = { ...buried, tombstone: { ...TOMBSTONE, done: 1 as const } };
  assert.equal(planOf({ ...done, held: fenced }).step?.kind, "delete", "an old copy came back");
});

Deno.test("planVolume() deletes nothing whose grant the tombstone's catalog did not know", () => {
  const buried = { volume: null, grant: null, tombstone: TOMBSTONE };
  for (const state of ["active", "fenced"] as const) {
    assert.equal(planOf({ ...buried, held: heldWith(grantOf(6, { state })) }).step?.kind, "adopt");
  }
});

Deno.test("planVolume() fences and deletes nothing before an operator confirmed", () => {
  const buried = { volume: null, grant: null, tombstone: TOMBSTONE };
  const revoked = { grant: { ...GRANT, counter: 6, state: "revoked" as const } };
  for (const wanted of [buried, revoked]) {
    assert.equal(planOf(wanted).destroys, true);
    const { step, difference } = planOf({ ...wanted, destroysNothing: true });
    assert.equal(step, null);
    assert.match(difference ?? "", /dvsan ctl recover --confirm/);
  }
});

Deno.test("planVolume() believes the label's newer grant and larger size", () => {
  assert.equal(planOf({ held: heldWith(grantOf(6)) }).step?.kind, "learn");
  assert.equal(planOf({ grant: null }).step?.kind, "learn");
  const larger = { held: heldWith(grantOf(5, { sizeBytes: 2 * GIB })) };
  assert.equal(planOf(larger).step?.kind, "learn");
  const middle = planOf({ ...larger, mayChangeLength: false });
  assert.equal(middle.step, null, "what comes after it would move");
  assert.equal(planOf({}).difference, null);
});

Deno.test("planVolume() gives back an end that was never granted, and only that", () => {
  const longer = (grant: GrantInfo | null) => ({ ...heldWith(grant), sizeBytes: 2 * GIB });
  const { step, difference } = planOf({ held: longer(grantOf(5)) });
  assert.deepEqual(step, { kind: "shrink", volume: ROW, sequence: 5 });
  assert.equal(
    difference,
    "holds 2 GiB, the catalog says 1 GiB: it gives the end back, which no host was ever granted",
  );
  const unpublished = { volume: { ...ROW, publishedBytes: 0 }, grant: null };
  const never = planOf({ ...unpublished, held: longer(null) });
  assert.equal(never.step?.kind, "shrink");
  assert.equal(planOf({ held: longer(grantOf(5)), destroysNothing: true }).step, null);
  // An older catalog knows less than the label: what was granted, a host may hold.
  for (const state of ["active", "fencing", "fenced"] as const) {
    const held = longer(grantOf(5, { sizeBytes: GIB + 4096, state }));
    assert.equal(planOf({ held }).step?.kind, "learn", state);
    assert.equal(planOf({ held, mayChangeLength: false }).step, null, state);
  }
  // It may be the end that is broken: its unit refuses where it is not that alone.
  const broken = { ...longer(grantOf(5)), state: "failed" as const, reason: "a medium died" };
  const plan = planOf({ held: broken });
  assert.equal(plan.step?.kind, "shrink");
  assert.match(plan.difference!, /gives the end back, .*; failed: a medium died/);
  assert.equal(planOf({ held: { ...broken, sizeBytes: GIB } }).step, null);
});

Deno.test("planVolume() forgets what was adopted without a grant, and is gone", () => {
  const gone = { held: null, grant: null, isRebuilt: true, volume: { ...ROW, publishedBytes: 0 } };
  assert.equal(planOf(gone).step?.kind, "forget");
  for (const less of [{ isRebuilt: false }, { grant: GRANT }, { volume: ROW }]) {
    const { step, difference } = planOf({ ...gone, ...less });
    assert.deepEqual([step, /no longer holds it/.test(difference ?? "")], [null, true]);
  }
});

Deno.test("planVolume() counts as made what a unit's labels hold, and not what it is making", () => {
  const volume: VolumeRow = { ...ROW, created: 0, publishedBytes: 0 };
  const held = heldWith(null);
  assert.equal(planOf({ volume, held, grant: null }).step?.kind, "keep");
  const making = { ...held, making: true as const };
  for (const begun of [making, { ...making, state: "failed" as const, reason: "its medium" }]) {
    const { step, difference } = planOf({ volume, held: begun, grant: null });
    assert.equal(step, null);
    assert.match(difference ?? "", /failed: its medium|labels do not have it yet/);
    // Nor is it adopted by a catalog that does not know it.
    assert.equal(planOf({ volume: null, held: begun, grant: null }).step, null);
  }
  // After a power cut, or once a medium that failed was opened anew, the label has nothing of it.
  assert.equal(planOf({ volume, held: null, grant: null }).step?.kind, "create");
});

Deno.test("planVolume() neither grants nor changes another making than the one that was granted", () => {
  const held = { ...heldWith(null), number: 2, sequence: 1 };
  const unpublished = { ...ROW, publishedBytes: 0 };
  for (const wanted of [{}, { volume: unpublished }, { grant: { ...GRANT, grantedBytes: 0 } }]) {
    const { step, difference } = planOf({ ...wanted, held });
    assert.equal(step, null);
    assert.match(difference ?? "", /not the one that was granted/);
  }
  const buried = { volume: null, grant: null, tombstone: TOMBSTONE };
  assert.equal(planOf({ ...buried, held }).step?.kind, "delete");
  const asked = { volume: unpublished, grant: { ...GRANT, grantedBytes: 0 } };
  assert.equal(
    planOf({ ...asked, held: heldWith(null) }).step?.kind,
    "grant",
    "for the first time",
  );
});

Deno.test("planVolume() tells of a fence that only the label knows", () => {
  const held = heldWith(grantOf(5, { state: "fenced" }));
  const learned = { ...GRANT, state: "revoked" as const };
  const { step, difference, confirms } = planOf({ held, grant: learned });
  assert.deepEqual([step, confirms], [null, "is granted to its host again"]);
  assert.match(difference ?? "", /was fenced by its unit/);
  assert.equal(planOf({ held, grant: learned, isInUse: false }).difference, null);
  const meant = { ...learned, counter: 6 };
  assert.equal(planOf({ held, grant: meant }).difference, null, "it was taken back here");
});

Deno.test("planVolume() takes a volume for moved that was granted later on another unit", () => {
  const moved = { unitId: "u2", held: heldWith(grantOf(7)) };
  for (const heldAtHome of [null, heldWith(grantOf(5)), heldWith(null)]) {
    assert.equal(planOf({ ...moved, heldAtHome }).step?.kind, "learn");
    assert.equal(planOf({ ...moved, heldAtHome, destroysNothing: true }).step?.kind, "learn");
  }
  assert.equal(planOf({ ...moved, heldAtHome: heldWith(grantOf(8)) }).step?.kind, "revoke");
});

Deno.test("planVolume() puts no new grant over one in use before an operator confirmed", () => {
  const newer = { grant: { ...GRANT, counter: 6 } };
  assert.equal(planOf(newer).step?.kind, "grant");
  assert.equal(planOf({ ...newer, destroysNothing: true }).step, null);
  const first = {
    volume: { ...ROW, publishedBytes: 0 },
    grant: { ...newer.grant, grantedBytes: 0 },
    held: heldWith(null),
  };
  for (const out of [{ ...newer, held: heldWith(grantOf(5, { state: "fenced" })) }, first]) {
    assert.equal(planOf(out).step?.kind, "grant");
    const { step, difference, confirms } = planOf({ ...out, destroysNothing: true });
    assert.equal(step, null, "whoever is out stays out: he may have been revoked since");
    assert.match(difference ?? "", /is to be granted, but .*ctl recover/);
    assert.equal(confirms, "is granted to its host");
  }
  const grown = { grant: { ...GRANT, grantedBytes: 0 } };
  assert.equal(planOf({ ...grown, destroysNothing: true }).step?.kind, "grant", "the same one");
});

Deno.test("planVolume() fences a copy on another unit, and never writes to it else", () => {
  const copy = { unitId: "u2" };
  assert.equal(planOf(copy).step?.kind, "revoke");
  assert.equal(planOf({ ...copy, held: heldWith(null) }).step, null);
  assert.equal(planOf({ ...copy, held: null }).difference, null);
});

Deno.test("planVolume() tells how long a fence has been under way", () => {
  const revoked = { ...GRANT, counter: 6, state: "revoked" as const };
  const held = heldWith(grantOf(5, { state: "fencing", fencingForMs: 61_000 }));
  assert.match(planOf({ grant: revoked, held }).difference ?? "", /being fenced for 61 s/);
});

Deno.test("planVolume() fences on a medium that failed, and says why that takes long", () => {
  const revoked = { ...GRANT, counter: 6, state: "revoked" as const };
  const reason = "medium /dev/sdb is poisoned";
  const held = { ...heldWith(grantOf(5)), state: "failed" as const, reason };
  const { step, difference } = planOf({ grant: revoked, held });
  assert.equal(step?.kind, "revoke", "the host is to be shut out at once");
  assert.match(
    difference ?? "",
    /its grant is to be fenced; failed: medium \/dev\/sdb is poisoned$/,
  );
  assert.equal(planOf({ held }).step, null, "nothing else is done there");
});

Deno.test("planVolume() has each label tell of all legs of its disk, and of no less than it did", () => {
  const { step, difference } = planOf({ legs: 2 });
  assert.deepEqual(step, { kind: "relabel", volume: ROW, legs: 2, sequence: 5 });
  assert.match(difference ?? "", /tells of 1 of the disk's 2 legs/);
  const held = heldWith(grantOf(5));
  assert.equal(planOf({ legs: 1, held: { ...held, leg: { ...held.leg, legs: 2 } } }).step, null);
  for (const unsure of ["isRebuilt", "destroysNothing"] as const) {
    assert.equal(planOf({ legs: 2, [unsure]: true }).step, null, unsure);
  }
  assert.equal(planOf({ legs: 2, isInUse: false }).step, null, "it is being released");
  assert.equal(planOf({ legs: 2, held: heldWith(grantOf(4)) }).step?.kind, "grant", "first");
});
