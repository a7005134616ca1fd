import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { createBody, grantBody, MIB, noFence, openStore, STATION } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

/** A growth that failed leaves a record where it was to go, on a medium that comes back late. */
const SIZES = [16, 24, 64];

interface Left {
  readonly disks: readonly MemoryMedium[];
  /** Which took nothing of the growth but copy A of its label. */
  readonly third: MemoryMedium;
  readonly others: readonly MemoryMedium[];
  readonly volume: VolumeInfo;
  readonly store: UnitStore;
}

/** Granted on two media; its growth onto a third fails, and that is gone at the next start. */
async function growthFails(): Promise<Left> {
  const disks = SIZES.map((mib, n) => new MemoryMedium({ path: `/m${n}`, sizeBytes: mib * MIB }));
  const third = disks[2]!;
  const others = disks.slice(0, 2);
  const first = await openStore(others);
  const made = await first.volumeCreate(createBody(1, 30 * MIB));
  await first.idle();
  const volume = await first.accessGrant(grantBody(made, 1), noFence);
  assert.equal(volume.media.length, 2);
  await first.close();
  const second = await openStore(disks, { knownSequences: first.sequences(), seed: 2 });
  await second.idle();
  let writes = 0;
  third.before = (what) => {
    if (what === "write" && ++writes === 2) throw new DvsanError("io", "no space is left");
  };
  const expectedSequence = volume.sequence;
  await assert.rejects(
    second.volumeResize({ ...createBody(1, 60 * MIB), expectedSequence }),
    /no space is left/,
  );
  third.before = () => {};
  await second.close();
  const store = await openStore(others, { knownSequences: second.sequences() });
  return { disks, third, others, volume, store };
}

async function reopened(store: UnitStore, disks: readonly MemoryMedium[]): Promise<UnitStore> {
  await store.idle();
  await store.close();
  return await openStore(disks, { knownSequences: store.sequences() });
}

function shown(store: UnitStore): string[] {
  return store.storageInfo().volumes.map(({ state, reason, sizeBytes, media, grant }) =>
    `${state} ${sizeBytes / MIB} MiB on ${media.length}, ${grant?.state}, ${reason}`
  );
}

function freeBytesOf(store: UnitStore, { path }: MemoryMedium): number {
  return store.storageInfo().media.find((medium) => medium.path === path)!.freeBytes;
}

async function deleted(store: UnitStore, { volume }: Left): Promise<void> {
  const change = { station: STATION, volumeId: volume.id };
  const { sequence } = await store.accessRevoke({
    ...change,
    expectedSequence: volume.sequence,
    generation: { epoch: 1, counter: 1 },
  }, noFence);
  await store.volumeDelete({ ...change, expectedSequence: sequence });
}

Deno.test("a deleted volume is not back with the medium that it was to grow onto", async () => {
  for (const away of [[], [0], [1]]) {
    const left = await growthFails();
    await deleted(left.store, left);
    const here = left.disks.filter((_, n) => !away.includes(n));
    const store = await reopened(left.store, here);
    assert.deepEqual(shown(store), []);
    assert.equal(freeBytesOf(store, left.third), (SIZES[2]! - 2) * MIB);
    await store.close();
  }
});

Deno.test("what a failed growth left goes when its medium is back, however the volume changed", async () => {
  const left = await growthFails();
  const { volume: { sizeBytes, sequence }, store } = left;
  const volume = await store.volumeResize({
    ...createBody(1, sizeBytes + 4 * MIB),
    expectedSequence: sequence,
  });
  await store.idle();
  await store.accessGrant(grantBody(volume, 2), noFence);
  const again = await reopened(store, left.disks);
  assert.deepEqual(shown(again), ["ready 34 MiB on 2, active, undefined"]);
  assert.equal(freeBytesOf(again, left.third), (SIZES[2]! - 2) * MIB);
  await again.close();
});

Deno.test("what a failed growth left goes also where the last of many changes was cut", async () => {
  const left = await growthFails();
  const { volume, store, others } = left;
  const fence = { station: STATION, volumeId: volume.id, generation: { epoch: 1, counter: 1 } };
  const fenced = await store.accessRevoke(
    { ...fence, expectedSequence: volume.sequence },
    noFence,
  );
  const granted = await store.accessGrant(grantBody(fenced, 2), noFence);
  const last = others[1]!;
  last.before = (what) => {
    if (what === "write") throw new DvsanError("io", "it fails");
  };
  const generation = { epoch: 1, counter: 2 };
  const again = { ...fence, generation, expectedSequence: granted.sequence };
  await assert.rejects(store.accessRevoke(again, noFence), /it fails/);
  last.before = () => {};
  const next = await reopened(store, left.disks);
  assert.deepEqual(shown(next), ["ready 30 MiB on 2, fenced, undefined"], "the fence stays");
  assert.equal(freeBytesOf(next, left.third), (SIZES[2]! - 2) * MIB);
  await next.close();
});

Deno.test("a growth that fails on one of its media takes back what it put on another", async () => {
  const disks = [16, 16, 16].map((mib, n) =>
    new MemoryMedium({ path: `/m${n}`, sizeBytes: mib * MIB })
  );
  const store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 12 * MIB));
  await store.idle();
  const { media } = store.storageInfo();
  const [taken, failing] = media.filter(({ id }) => !made.media.includes(id));
  disks.find(({ path }) => path === failing!.path)!.before = (what) => {
    if (what === "write") throw new DvsanError("io", "it fails");
  };
  const { sequence: expectedSequence } = made;
  const grown = { ...createBody(1, 40 * MIB), expectedSequence };
  await assert.rejects(store.volumeResize(grown), /it fails/);
  await store.idle();
  await store.idle();
  const now = store.storageInfo().media.find(({ id }) => id === taken!.id)!;
  assert.deepEqual([now.freeBytes, now.zeroedBytes], [14 * MIB, 14 * MIB]);
  await store.close();
});

Deno.test("what a failed growth left can be deleted where its medium was carried to, alone", async () => {
  const left = await growthFails();
  await deleted(left.store, left);
  await left.store.close();
  const unitId = "ffffffffffffffffffffffffffffffff";
  const looking = await openStore([left.third], { unitId });
  const [medium] = looking.storageInfo().media;
  await looking.close();
  const adopting = { mediumId: medium!.id, sequence: medium!.sequence };
  const store = await openStore([left.third], { unitId, adopting });
  const [volume] = store.storageInfo().volumes;
  assert.deepEqual([volume?.state, volume?.grant?.state], ["incomplete", "fenced"]);
  const { id: volumeId, sequence: expectedSequence } = volume!;
  await store.volumeDelete({ station: STATION, volumeId, expectedSequence });
  assert.equal(freeBytesOf(store, left.third), (SIZES[2]! - 2) * MIB);
  await store.close();
});

Deno.test("a part of a volume that was granted is not deleted where its medium was carried to", async () => {
  const { others, store, volume } = await growthFails();
  await store.close();
  const unitId = "ffffffffffffffffffffffffffffffff";
  const last = others[1]!;
  const looking = await openStore([last], { unitId });
  const [medium] = looking.storageInfo().media;
  await looking.close();
  const adopting = { mediumId: medium!.id, sequence: medium!.sequence };
  const next = await openStore([last], { unitId, adopting });
  const [{ sequence }] = next.storageInfo().volumes as [VolumeInfo];
  const deletion = { station: STATION, volumeId: volume.id, expectedSequence: sequence };
  await assert.rejects(next.volumeDelete(deletion), { code: "unavailable" });
  await next.close();
});
