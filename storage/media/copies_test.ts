import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { createBody, grantBody, noFence, openStore, storeOptions } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import { UnitStore } from "./unit_store.ts";

/** A unit's medium with a granted volume, closed again; what the unit remembers of it. */
async function served(medium: MemoryMedium) {
  const store = await openStore([medium]);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  await store.accessGrant(grantBody(made, 1), noFence);
  await store.close();
  return rememberedOf(store);
}

function rememberedOf(store: UnitStore) {
  return {
    knownSequences: store.sequences(),
    knownDevices: store.devices(),
    continuities: store.continuities(),
  };
}

function statesOf(store: UnitStore): [string, string][] {
  return store.storageInfo().media.map(({ path, state }) => [path, state]);
}

const SIZE = { sizeBytes: 32 * MIB };

Deno.test("a copy is not served in place of the medium it was made of, until it is adopted", async () => {
  const original = new MemoryMedium({ path: "/a", ...SIZE });
  const known = await served(original);
  const copy = original.clone("/b");
  const without = await openStore([copy], known);
  assert.deepEqual(statesOf(without), [["/b", "moved"]]);
  const [medium] = without.storageInfo().media;
  assert.match(medium!.reason!, /last on another device \(\/a: \/a; this one: \/b\)/);
  assert.equal(without.served(createBody(1, 1).volumeId), null);
  await without.close();
  assert.deepEqual(rememberedOf(without), known, "what is held back changes nothing");
  const both = await openStore([copy, original], known);
  assert.deepEqual(statesOf(both), [["/a", "ok"], ["/b", "duplicate"]], "also when named first");
  await both.close();

  const fresh = original.clone("/c");
  const again = rememberedOf(both);
  const adopting = { mediumId: medium!.id, sequence: again.knownSequences[medium!.id]! };
  const adopted = await openStore([fresh], { ...again, adopting });
  assert.deepEqual(statesOf(adopted), [["/c", "ok"]]);
  assert.equal(adopted.storageInfo().volumes[0]?.grant?.state, "active");
  assert.notDeepEqual(adopted.continuities(), again.continuities, "it may be older than that");
  await adopted.close();
  const later = await openStore([original, fresh], rememberedOf(adopted));
  assert.deepEqual(statesOf(later), [["/c", "ok"], ["/a", "stale"]]);
  await later.close();
});

Deno.test("a device that has another name now is served without asking", async () => {
  const before = new MemoryMedium({ path: "/dev/sdb", identity: "wwid 1", ...SIZE });
  const known = await served(before);
  const now = before.clone("/dev/sdc");
  Object.assign(now, { identity: "wwid 1" });
  const store = await openStore([now], known);
  assert.deepEqual(statesOf(store), [["/dev/sdc", "ok"]]);
  assert.deepEqual(Object.values(store.devices()), [{ path: "/dev/sdc", identity: "wwid 1" }]);
  await store.close();
});

Deno.test("a device that tells nothing of itself is taken at its label's word", async () => {
  const before = new MemoryMedium({ path: "/a", identity: null, ...SIZE });
  const known = await served(before);
  for (const path of ["/a", "/b"]) {
    const store = await openStore([before.clone(path)], known);
    assert.deepEqual(statesOf(store), [[path, "ok"]]);
    await store.close();
  }
});

Deno.test("a device that told something of itself is not replaced by one that does not", async () => {
  const known = await served(new MemoryMedium({ path: "/a", ...SIZE }));
  const silent = new MemoryMedium({ path: "/a", identity: null, ...SIZE });
  const original = new MemoryMedium({ path: "/a", ...SIZE });
  await served(original);
  const copy = original.clone("/a");
  silent.preset(0, copy.peek(0, SIZE.sizeBytes));
  const store = await openStore([silent], known);
  assert.deepEqual(statesOf(store), [["/a", "moved"]]);
  await store.close();
});

Deno.test("of two copies none is adopted: they cannot be told apart", async () => {
  const original = new MemoryMedium({ path: "/a", ...SIZE });
  const known = await served(original);
  const copies = [original.clone("/b"), original.clone("/c")];
  const [[mediumId, sequence]] = Object.entries(known.knownSequences) as [[string, number]];
  const store = await openStore(copies, { ...known, adopting: { mediumId, sequence } });
  assert.deepEqual(statesOf(store), [["/b", "duplicate"], ["/c", "duplicate"]]);
  await store.close();
});

Deno.test("of two copies that tell nothing of themselves none is served: either may be older", async () => {
  const original = new MemoryMedium({ path: "/a", identity: null, ...SIZE });
  const known = await served(original);
  const copy = original.clone("/b");
  Object.assign(copy, { identity: null });
  original.preset(20 * MIB, new Uint8Array(512).fill(7));
  for (const given of [known, {}]) {
    for (const order of [[original, copy], [copy, original]]) {
      const store = await openStore(order, given);
      const media = store.storageInfo().media;
      assert.deepEqual(
        media.map(({ path, state }) => [path, state]),
        order.map(({ path }) => [
          path,
          "duplicate",
        ]),
      );
      assert.match(media[0]!.reason!, /one is a copy, and may be older: neither is served. Take/);
      assert.equal(store.served(createBody(1, 1).volumeId), null);
      await store.close();
    }
  }
  const alone = await openStore([original], known);
  assert.deepEqual(statesOf(alone), [["/a", "ok"]]);
  await alone.close();
  const later = await openStore([copy, original], rememberedOf(alone));
  assert.deepEqual(statesOf(later), [["/a", "ok"], ["/b", "stale"]], "it was opened since");
  await later.close();
});

Deno.test("a device whose label is gone is not labelled anew before its medium was given up", async () => {
  for (
    const { wipe, identity } of [
      { wipe: "no" as const, identity: "wwid 1" },
      { wipe: "yes" as const, identity: "wwid 1" },
      { wipe: "no" as const, identity: null },
    ]
  ) {
    const medium = new MemoryMedium({ path: "/a", identity, ...SIZE });
    const known = await served(medium);
    const [id] = Object.keys(known.knownSequences);
    // A host's data stays as it was, between the labels.
    medium.preset(20 * MIB + 4096, new Uint8Array(512).fill(7));
    const label = new Uint8Array(MIB);
    medium.preset(0, label);
    medium.preset(SIZE.sizeBytes - MIB, label);
    const open = async (forgotten: string[]) => {
      const store = await UnitStore.open(
        [medium.source(wipe)],
        storeOptions({ ...known, forgotten, seed: 2 }),
      );
      await store.idle();
      const { media } = store.storageInfo();
      await store.close();
      return media;
    };
    const [found, ...more] = await open([]);
    assert.deepEqual([found?.id, found?.path, found?.state, more], [id, "/a", "missing", []]);
    assert.match(found!.reason!, /its label is gone from both ends/);
    assert.equal(medium.peek(20 * MIB + 4096, 1)[0], 7);
    const giving = await UnitStore.open([medium.source(wipe)], storeOptions({ ...known, seed: 2 }));
    giving.forgetMedium(id!);
    const [left, ...others] = giving.storageInfo().media;
    assert.deepEqual([left?.path, left?.state, others], ["/a", "refused", []]);
    assert.match(left!.reason!, /was given up. It is labelled anew/);
    assert.notEqual(left!.id, id);
    await giving.close();
    const [fresh] = await open([id!]);
    assert.equal(fresh!.state, "ok");
    assert.notEqual(fresh!.id, id);
    assert.equal(medium.peek(20 * MIB + 4096, 1)[0], 0, "it is zeroed for others");
  }
});
