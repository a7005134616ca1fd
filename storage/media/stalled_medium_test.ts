import assert from "node:assert/strict";
import { MemoryMedium } from "./testing_memory_medium.ts";
import {
  createBody,
  grantBody,
  MIB,
  noFence,
  openStore,
  STATION,
  storeOptions,
} from "./testing.ts";
import { UnitStore } from "./unit_store.ts";

Deno.test("a stalled medium holds up no fence or volume on others for a station that is new", async () => {
  const stalled = new MemoryMedium({ path: "/stalled", sizeBytes: 16 * MIB });
  const good = new MemoryMedium({ path: "/good", sizeBytes: 80 * MIB });
  const source = stalled.source();
  let isStalled = false;
  const open = async () => {
    const file = await source.open();
    const write: typeof file.write = (position, bytes) =>
      isStalled ? new Promise(() => {}) : file.write(position, bytes);
    return { ...file, write };
  };
  const store = await UnitStore.open(
    [{ ...source, open }, good.source()],
    storeOptions({
      besides: async (done) => isStalled ? null : { value: await done },
    }),
  );
  const made = await store.volumeCreate(createBody(1, 40 * MIB));
  await store.idle();
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  isStalled = true;
  const station = { epoch: 2, instance: "second" };
  const fenced = await store.accessRevoke({
    station,
    volumeId: made.id,
    expectedSequence: granted.sequence,
    generation: { epoch: 1, counter: 1 },
  }, noFence);
  assert.equal(fenced.grant?.state, "fenced");
  assert.equal((await store.volumeCreate(createBody(2, 20 * MIB, station))).number, 2);
  const again = await openStore([good.clone(good.path)]);
  assert.equal(again.storageInfo().epoch, 2);
  assert.equal(again.storageInfo().volumes[0]!.grant?.state, "fenced");
  await assert.rejects(again.accept(STATION), { code: "stale-epoch" });
  await again.close();
});

Deno.test("a volume is told of as one that is being made until its label is durable", async () => {
  const medium = new MemoryMedium({ path: "/slow", sizeBytes: 80 * MIB });
  const source = medium.source();
  const gate = Promise.withResolvers<void>();
  let isStalled = false;
  const open = async () => {
    const file = await source.open();
    const write: typeof file.write = async (position, bytes) => {
      if (isStalled) await gate.promise;
      return await file.write(position, bytes);
    };
    return { ...file, write };
  };
  const store = await UnitStore.open([{ ...source, open }], storeOptions());
  await store.accept(STATION);
  await store.idle();
  isStalled = true;
  const creating = store.volumeCreate(createBody(1, 40 * MIB));
  while (store.storageInfo().volumes.length === 0) await Promise.resolve();
  assert.equal(store.storageInfo().volumes[0]!.making, true);
  gate.resolve();
  assert.equal((await creating).making, undefined);
  assert.equal(store.storageInfo().volumes[0]!.making, undefined);
  await store.close();
});
