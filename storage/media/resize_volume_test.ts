import assert from "node:assert/strict";
import fc from "fast-check";
import { DvsanError, type ErrorCode } from "../../protocol/core/errors.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { createBody, grantBody, MIB, noFence, openStore, STATION } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

function media(...sizes: number[]): MemoryMedium[] {
  return sizes.map((sizeBytes, n) => new MemoryMedium({ path: `/m${n}`, sizeBytes }));
}

async function refuses(run: Promise<unknown>, code: ErrorCode, words: RegExp): Promise<void> {
  const error = await run.then(() => null, (error) => error);
  assert(error instanceof DvsanError, `not refused with ${code}: ${error}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, words);
}

function resized(store: UnitStore, volume: VolumeInfo, sizeBytes: number): Promise<VolumeInfo> {
  return store.volumeResize({ ...createBody(1, sizeBytes), expectedSequence: volume.sequence });
}

/** A volume of 8 MiB that is granted, and grown to a size that two media hold. */
async function grown(store: UnitStore, sizeBytes = 20 * MIB): Promise<VolumeInfo> {
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  const volume = await resized(store, granted, sizeBytes);
  assert.ok(volume.media.length > 1);
  await store.idle();
  return volume;
}

Deno.test("a volume gives back the end that was never granted, down to what was", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  let store = await openStore(disks);
  const long = await grown(store);
  const before = store.storageInfo().media.map(({ freeBytes }) => freeBytes);
  await refuses(resized(store, long, 8 * MIB - 4096), "invalid", /8388608 bytes .* were granted/);
  const short = await resized(store, long, 8 * MIB);
  assert.deepEqual([short.sizeBytes, short.media.length], [8 * MIB, 1]);
  assert.equal(short.allocatedBytes, 9 * MIB, "with its header");
  const repeated = { ...createBody(1, 8 * MIB), expectedSequence: long.sequence };
  assert.equal((await store.volumeResize(repeated)).sequence, short.sequence, "asked again");
  const after = store.storageInfo().media;
  const freed = after.reduce((sum, { freeBytes }, n) => sum + freeBytes - before[n]!, 0);
  assert.equal(freed, 12 * MIB);
  assert.equal(store.served(long.id)?.sizeBytes, 8 * MIB, "its host is not disturbed");
  await store.close();
  store = await openStore(disks);
  const [kept] = store.storageInfo().volumes;
  assert.deepEqual([kept!.sizeBytes, kept!.state], [8 * MIB, "ready"]);
  await store.close();
});

Deno.test("what was granted once is never given back, whatever became of the grant", async () => {
  const store = await openStore(media(32 * MIB, 32 * MIB));
  let volume = await store.volumeCreate(createBody(1, 20 * MIB));
  await store.idle();
  volume = await store.accessGrant(grantBody(volume, 1), noFence);
  volume = await store.accessRevoke({
    station: STATION,
    volumeId: volume.id,
    expectedSequence: volume.sequence,
    generation: { epoch: 1, counter: 1 },
  }, noFence);
  await refuses(resized(store, volume, 8 * MIB), "invalid", /were granted/);
  // Nor by a later grant that would cover less, and be taken for the most that there was.
  const less = { ...grantBody(volume, 2), sizeBytes: 8 * MIB };
  await refuses(store.accessGrant(less, noFence), "invalid", /never get smaller/);
  volume = await store.accessGrant(grantBody(volume, 2), noFence);
  assert.equal(volume.grant?.sizeBytes, 20 * MIB);
  await store.close();
});

Deno.test("an end that was never granted is given back also once its medium has died", async () => {
  for (const isAway of [false, true]) {
    const disks = media(16 * MIB, 16 * MIB);
    let store = await openStore(disks);
    const long = await grown(store);
    const [, dead] = long.media;
    const { path } = store.storageInfo().media.find(({ id }) => id === dead)!;
    store.mediumBroken(dead!, "it died");
    if (isAway) {
      await store.close();
      const knownSequences = store.sequences();
      store = await openStore(disks.filter((disk) => disk.path !== path), { knownSequences });
    }
    assert.equal(store.served(long.id), null);
    const short = await resized(store, long, 8 * MIB);
    assert.deepEqual([short.state, short.media.length], ["ready", 1]);
    assert.equal(store.served(long.id)?.sizeBytes, 8 * MIB, "its host goes on");
    await store.close();
    store = await openStore(disks, { knownSequences: store.sequences() });
    const { volumes, media: all } = store.storageInfo();
    assert.deepEqual(volumes.map(({ state, sizeBytes }) => [state, sizeBytes]), [
      ["ready", 8 * MIB],
    ]);
    assert.equal(all.find(({ id }) => id === dead)!.freeBytes, 14 * MIB);
    await store.close();
  }
});

Deno.test("an end is not given back while a medium that stays is away, or is behind", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  let store = await openStore(disks);
  const long = await grown(store);
  await store.close();
  const first = store.storageInfo().media.find(({ id }) => id === long.media[0])!.path;
  const knownSequences = store.sequences();
  store = await openStore(disks.filter(({ path }) => path !== first), { knownSequences });
  await refuses(resized(store, long, 8 * MIB), "unavailable", /is not there/);
  await store.close();
});

Deno.test("a medium that is given up takes no disk along that has nothing on it yet", async () => {
  for (const isKilled of [false, true]) {
    const disks = media(16 * MIB, 16 * MIB, 16 * MIB);
    let store = await openStore(disks);
    const long = await grown(store, 24 * MIB);
    // What lies behind it goes, too.
    const dead = long.media[1]!;
    const { path } = store.storageInfo().media.find(({ id }) => id === dead)!;
    await store.close();
    const knownSequences = store.sequences();
    const left = disks.filter((disk) => disk.path !== path);
    store = await openStore(left, { knownSequences });
    if (isKilled) {
      // It was given up, and the unit killed before its labels said so.
      await store.close();
      store = await openStore(left, { knownSequences: store.sequences(), forgotten: [dead] });
    } else store.forgetMedium(dead);
    const [volume] = store.storageInfo().volumes;
    assert.deepEqual([volume!.state, volume!.grant!.state], ["ready", "active"]);
    assert.equal(store.served(long.id)?.sizeBytes, 8 * MIB, "its host goes on");
    const change = { station: STATION, volumeId: long.id };
    const generation = volume!.grant!.generation;
    const { sequence } = await store.accessRevoke(
      { ...change, generation, expectedSequence: volume!.sequence },
      () => Promise.resolve(),
    );
    await store.close();
    store = await openStore(left, { knownSequences: store.sequences(), forgotten: [dead] });
    assert.equal(store.storageInfo().volumes[0]!.grant?.state, "fenced");
    await store.volumeDelete({ ...change, expectedSequence: sequence });
    await store.close();
  }
});

Deno.test("what a host was granted on a medium that is given up is lost", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  let store = await openStore(disks);
  const long = await grown(store);
  const granted = await store.accessGrant(grantBody(long, 2), noFence);
  const dead = granted.media.at(-1)!;
  const { path } = store.storageInfo().media.find(({ id }) => id === dead)!;
  await store.close();
  const left = disks.filter((disk) => disk.path !== path);
  store = await openStore(left, { knownSequences: store.sequences() });
  store.forgetMedium(dead);
  const [volume] = store.storageInfo().volumes;
  assert.deepEqual([volume!.state, volume!.sizeBytes], ["failed", 20 * MIB]);
  assert.match(volume!.reason!, /^lost with medium/);
  await store.close();
});

Deno.test("while a medium that stays is not in order, nothing is lost with one given up", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  let store = await openStore(disks);
  const long = await grown(store);
  const [first, dead] = long.media;
  const pathOf = (id: string) => store.storageInfo().media.find((one) => one.id === id)!.path;
  const { path } = disks.find((disk) => disk.path === pathOf(dead!))!;
  await store.close();
  const left = disks.filter((disk) => disk.path !== path);
  store = await openStore(left, { knownSequences: store.sequences() });
  store.mediumBroken(first!, "it stalls");
  store.forgetMedium(dead!);
  const [broken] = store.storageInfo().volumes;
  assert.deepEqual([broken!.state, broken!.grant!.state], ["incomplete", "active"]);
  assert.match(broken!.reason!, /is failed: it stalls/);
  await store.close();
  const forgotten = [dead!];
  store = await openStore(left, { knownSequences: store.sequences(), forgotten });
  assert.equal(store.served(long.id)?.sizeBytes, 8 * MIB);
  await store.close();
});

Deno.test("an end that was given back is zeroed again before anybody is granted it", async () => {
  const disks = media(16 * MIB, 16 * MIB);
  const store = await openStore(disks);
  const long = await grown(store);
  const zeroed = new Set<string>();
  for (const disk of disks) {
    disk.before = (what, path) => {
      if (what === "zero") zeroed.add(path);
    };
  }
  const short = await resized(store, long, 8 * MIB);
  await store.idle();
  assert.deepEqual([...zeroed], ["/m1"], "where its end was");
  for (const { freeBytes, zeroedBytes } of store.storageInfo().media) {
    assert.equal(zeroedBytes, freeBytes);
  }
  assert.equal((await resized(store, short, 20 * MIB)).state, "ready");
  await store.close();
});

Deno.test("whatever is asked for, the label holds what was granted, and no step twice", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("resize" as const), mib: fc.integer({ min: 1, max: 26 }) }),
    fc.record({ kind: fc.constant("grant" as const), mib: fc.integer({ min: 1, max: 26 }) }),
    fc.record({ kind: fc.constant("reopen" as const), mib: fc.constant(0) }),
  );
  const property = fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
    const disks = media(16 * MIB, 16 * MIB);
    let store = await openStore(disks);
    const other = await store.volumeCreate({ ...createBody(2, 2 * MIB) });
    let volume = await store.volumeCreate(createBody(1, 4 * MIB));
    let grantedBytes = 0;
    for (const [counter, { kind, mib }] of steps.entries()) {
      await store.idle();
      try {
        if (kind === "resize") volume = await resized(store, volume, mib * MIB);
        if (kind === "grant") {
          const body = { ...grantBody(volume, counter + 1), sizeBytes: mib * MIB };
          volume = await store.accessGrant(body, noFence);
          grantedBytes = mib * MIB;
        }
      } catch (error) {
        assert(error instanceof DvsanError && ["invalid", "no-space"].includes(error.code));
      }
      if (kind === "reopen") {
        await store.close();
        store = await openStore(disks);
      }
      const info = store.storageInfo();
      assert.deepEqual(info.media.map(({ state }) => state), ["ok", "ok"], "labels are valid");
      const held = info.volumes.find(({ id }) => id === volume.id)!;
      assert.ok(held.sizeBytes >= grantedBytes);
      const used = held.allocatedBytes + other.allocatedBytes;
      const freeBytes = info.media.reduce((sum, each) => sum + each.freeBytes, 0);
      assert.equal(freeBytes + used, 28 * MIB);
    }
    await store.close();
  });
  await fc.assert(property, { numRuns: 40, seed: 63043 });
});
