import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { createBody, grantBody, noFence, openStore, STATION } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

const FORMER_UNIT = "ffffffffffffffffffffffffffffffff";

/** Of two media that share a volume the second one came to another unit, which adopted it. */
async function partedStore() {
  const disks = [1, 2].map((n) => new MemoryMedium({ path: `/m${n}`, sizeBytes: 16 * MIB }));
  const former = await openStore(disks, { unitId: FORMER_UNIT, seed: 5 });
  const made = await former.volumeCreate(createBody(1, 20 * MIB));
  await former.idle();
  await former.accessGrant(grantBody(made, 1), noFence);
  const first = former.storageInfo().media[0]!;
  await former.close();
  const store = await adopted([disks[1]!], {});
  return { disks, store, first: first.id };
}

async function adopted(
  disks: readonly MemoryMedium[],
  known: Parameters<typeof openStore>[1],
): Promise<UnitStore> {
  const looking = await openStore(disks, known);
  const { id, sequence } = looking.storageInfo().media.find(({ state }) => state === "foreign")!;
  await looking.close();
  const adopting = { mediumId: id, sequence };
  return await openStore(disks, { ...known, knownSequences: looking.sequences(), adopting });
}

Deno.test("a medium that never came with an adopted one is missing, and can be given up", async () => {
  const { disks, store, first } = await partedStore();
  const told = store.storageInfo();
  assert.deepEqual(told.media.map(({ id, state }) => [id === first, state]), [
    [false, "ok"],
    [true, "missing"],
  ]);
  assert.match(told.media[1]?.reason ?? "", /lie on it in part; the unit has never served it/);
  const [volume] = told.volumes;
  const deletion = {
    station: STATION,
    volumeId: volume!.id,
    expectedSequence: volume!.sequence,
  };
  await assert.rejects(store.volumeDelete(deletion), { code: "unavailable" });
  store.forgetMedium(first);
  const after = store.storageInfo();
  assert.deepEqual(after.media.map(({ state }) => state), ["ok"]);
  assert.match(after.volumes[0]?.reason ?? "", /an operator gave up: release its disk/);
  assert.equal(after.volumes[0]?.grant?.state, "fenced");
  assert.throws(() => store.forgetMedium(first), { code: "busy" });
  await store.close();
  // The next start goes by what the operator decided.
  const next = await openStore([disks[1]!], {
    knownSequences: store.sequences(),
    forgotten: [first],
  });
  assert.deepEqual(next.storageInfo().media.map(({ state }) => state), ["ok"]);
  assert.equal(await next.volumeDelete(deletion), null);
  await next.close();
});

Deno.test("a medium that comes after the one that it shares volumes with is missing no more", async () => {
  const { disks, store } = await partedStore();
  await store.close();
  const knownSequences = store.sequences();
  const looking = await openStore(disks, { knownSequences });
  assert.deepEqual(
    looking.storageInfo().media.map(({ state }) => state).sort(),
    ["foreign", "ok"],
    "it is there, and is told once",
  );
  await looking.close();
  const both = await adopted(disks, { knownSequences });
  assert.deepEqual(both.storageInfo().media.map(({ state }) => state), ["ok", "ok"]);
  const [volume] = both.storageInfo().volumes;
  assert.equal(volume?.state, "ready");
  assert.equal((await both.accessGrant(grantBody(volume!, 2), noFence)).grant?.state, "active");
  await both.close();
});

Deno.test("a medium that was given up and comes after all is adopted, and not served before", async () => {
  const { disks, store, first } = await partedStore();
  store.forgetMedium(first);
  await store.close();
  const known = { knownSequences: store.sequences(), forgotten: [first] };
  const looking = await openStore(disks, known);
  const back = looking.storageInfo();
  assert.equal(back.media.find(({ id }) => id === first)?.state, "foreign");
  assert.equal(back.volumes[0]?.state, "failed");
  assert.deepEqual(looking.servedVolumes(), []);
  await looking.close();
});
