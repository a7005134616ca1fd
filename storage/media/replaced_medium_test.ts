import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { createBody, grantBody, noFence, openStore, STATION, volumeIdOf } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

const SIZE = 16 * MIB;
type Images = readonly Uint8Array[];

/** A unit with media that are taken away and put back as an operator does. */
class Bench {
  readonly disks: MemoryMedium[];
  #knownSequences: Readonly<Record<string, number>> = {};
  #numbers: { numbersFrom?: number } = { numbersFrom: 1 };
  /** What was adopted last was told to be the one that an older copy had replaced. */
  wasReplaced = false;

  constructor(count = 2) {
    this.disks = Array.from(
      { length: count },
      (_, index) => new MemoryMedium({ path: `/m${index}`, sizeBytes: SIZE }),
    );
  }

  open(adopting?: { mediumId: string; sequence: number }): Promise<UnitStore> {
    const known = { knownSequences: this.#knownSequences, ...this.#numbers };
    return openStore(this.disks, adopting === undefined ? known : { ...known, adopting });
  }

  async close(store: UnitStore): Promise<void> {
    await store.idle();
    await store.close();
    this.#knownSequences = store.sequences();
    this.#numbers = store.numbers();
  }

  images(): Images {
    return this.disks.map((disk) => disk.peek(0, SIZE).slice());
  }

  put(index: number, images: Images): void {
    this.disks[index]!.preset(0, images[index]!);
  }

  /** As `media adopt --yes` of the only medium that is not served. */
  async adopt(): Promise<UnitStore> {
    const looking = await this.open();
    const waiting = looking.storageInfo().media.filter(({ state }) => state !== "ok");
    assert.deepEqual(waiting.map(({ state }) => state), ["stale"]);
    this.wasReplaced = waiting[0]!.wasReplaced === true;
    await this.close(looking);
    return await this.open({ mediumId: waiting[0]!.id, sequence: waiting[0]!.sequence });
  }

  /** A volume over all media, granted as 1.`counter`. */
  async grant(counter: number): Promise<void> {
    const store = await this.open();
    const { volumes } = store.storageInfo();
    const size = (this.disks.length - 1) * SIZE + 4 * MIB;
    const volume = volumes[0] ?? await store.volumeCreate(createBody(1, size));
    assert.equal(volume.media.length, this.disks.length);
    await store.idle();
    await store.accessGrant(grantBody(volume, counter), noFence);
    await this.close(store);
  }

  /** An older copy of the last medium is adopted in its place; returns what was there before. */
  async replaceLast(old: Images): Promise<Images> {
    const right = this.images();
    this.put(this.disks.length - 1, old);
    const store = await this.adopt();
    assert.equal(this.wasReplaced, false);
    assert.equal(store.storageInfo().volumes[0]?.state, "failed");
    await this.close(store);
    return right;
  }
}

for (const changes of [0, 1, 2]) {
  for (const count of [2, 3]) {
    const name =
      `a volume on ${count} media is whole again once the right one is adopted after an ` +
      `old copy of it, of ${changes} changes before`;
    Deno.test(name, async () => {
      const bench = new Bench(count);
      await bench.grant(1);
      const old = bench.images();
      for (let i = 0; i < changes; i++) await bench.grant(2 + i);
      // Each opening writes each label.
      await bench.close(await bench.open());
      const right = await bench.replaceLast(old);
      bench.put(count - 1, right);
      const store = await bench.adopt();
      assert.equal(bench.wasReplaced, true);
      const [volume] = store.storageInfo().volumes;
      assert.deepEqual([volume?.state, volume?.grant?.state], ["ready", "fenced"]);
      await assert.rejects(store.accessGrant(grantBody(volume!, 1 + changes), noFence), {
        code: "stale-generation",
      });
      const again = await store.accessGrant(grantBody(volume!, 2 + changes), noFence);
      assert.equal(again.grant?.state, "active");
      await bench.close(store);
      const last = await bench.open();
      assert.equal(last.storageInfo().volumes[0]?.state, "ready");
      assert.equal(last.storageInfo().volumes[0]?.grant?.state, "active");
      await bench.close(last);
    });
  }
}

Deno.test("a second wrong copy is not taken for the right one, nor a copy of before the first", async () => {
  const bench = new Bench();
  await bench.grant(1);
  const older = bench.images();
  await bench.close(await bench.open());
  const old = bench.images();
  await bench.close(await bench.open());
  const right = await bench.replaceLast(older);
  const wrong = await bench.replaceLast(old);
  for (const images of [wrong, older]) {
    bench.put(1, images);
    const store = await bench.adopt();
    assert.equal(store.storageInfo().volumes[0]?.state, "failed");
    await bench.close(store);
  }
  bench.put(1, right);
  const store = await bench.adopt();
  assert.equal(store.storageInfo().volumes[0]?.state, "ready");
  await bench.close(store);
});

Deno.test("once a volume was whole again, what it had before is an old copy", async () => {
  const bench = new Bench();
  await bench.grant(1);
  const old = bench.images();
  await bench.close(await bench.open());
  const first = await bench.replaceLast(old);
  bench.put(1, first);
  await bench.close(await bench.adopt());
  const second = await bench.replaceLast(first);
  bench.put(1, first);
  const wrong = await bench.adopt();
  assert.equal(wrong.storageInfo().volumes[0]?.state, "failed");
  await bench.close(wrong);
  bench.put(1, second);
  const store = await bench.adopt();
  assert.equal(store.storageInfo().volumes[0]?.state, "ready");
  await bench.close(store);
});

Deno.test("what was deleted or made anew meanwhile is not joined to what is put back", async () => {
  const bench = new Bench();
  await bench.grant(1);
  const old = bench.images();
  await bench.close(await bench.open());
  const right = await bench.replaceLast(old);
  const store = await bench.open();
  const [broken] = store.storageInfo().volumes;
  const deletion = {
    station: STATION,
    volumeId: volumeIdOf(1),
    expectedSequence: broken!.sequence,
  };
  assert.equal(await store.volumeDelete(deletion), null);
  await store.idle();
  await bench.close(store);
  await bench.grant(5);
  bench.put(1, right);
  const back = await bench.adopt();
  assert.equal(back.storageInfo().volumes[0]?.state, "failed");
  await bench.close(back);
});

Deno.test("old copies of two media that are adopted one after the other are no whole volume", async () => {
  const bench = new Bench();
  await bench.grant(1);
  const monday = bench.images();
  await bench.close(await bench.open());
  const tuesday = bench.images();
  await bench.grant(2);
  await bench.replaceLast(tuesday);
  bench.put(0, monday);
  const store = await bench.adopt();
  assert.equal(store.storageInfo().volumes[0]?.state, "failed");
  await bench.close(store);
});
