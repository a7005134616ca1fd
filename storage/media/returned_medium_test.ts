import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { createBody, grantBody, noFence, openStore } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

/** A volume over these media, granted; all are closed again. */
async function granted(disks: readonly MemoryMedium[], sizeMib: number) {
  const store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, sizeMib * MIB));
  await store.idle();
  await store.accessGrant(grantBody(made, 1), noFence);
  const { media, volumes: [volume] } = store.storageInfo();
  await store.close();
  const ids = disks.map(({ path }) => media.find((one) => one.path === path)!.id);
  return { known: store.sequences(), ids, volume: volume! };
}

/** What the store tells, and that it is closed. */
async function told(store: UnitStore) {
  const { media, volumes } = store.storageInfo();
  await store.close();
  const known = store.sequences();
  return { known, volumes: volumes.map(({ state, grant }) => [state, grant?.state]), media };
}

function disksOf(count: number, sizeMib: number): MemoryMedium[] {
  const paths = ["/m0", "/m1", "/m2"].slice(0, count);
  return paths.map((path) => new MemoryMedium({ path, sizeBytes: sizeMib * MIB }));
}

Deno.test("a volume that was told as fenced, since a medium was given up, is fenced once that is adopted", async () => {
  const disks = disksOf(2, 16);
  const { known, ids: [gone] } = await granted(disks, 20);
  const without = await openStore([disks[1]!], { knownSequences: known, seed: 2 });
  without.forgetMedium(gone!);
  assert.deepEqual((await told(without)).volumes, [["failed", "fenced"]]);
  const forgotten = [gone!];
  const looking = await told(await openStore(disks, { knownSequences: known, forgotten, seed: 3 }));
  const back = looking.media.find(({ id }) => id === gone)!;
  assert.equal(back.state, "stale");
  assert.deepEqual(looking.volumes, [["failed", "fenced"]]);
  const adopting = { mediumId: gone!, sequence: back.sequence };
  const options = { knownSequences: looking.known, forgotten, adopting, seed: 4 };
  const adopted = await told(await openStore(disks, options));
  assert.deepEqual(adopted.volumes, [["ready", "fenced"]]);
  assert.deepEqual(adopted.media.map(({ state }) => state), ["ok", "ok"]);
  // It is so on the labels, and the medium is one like the others from now on.
  const later = await told(await openStore(disks, { knownSequences: adopted.known, seed: 5 }));
  assert.deepEqual(later.volumes, [["ready", "fenced"]]);
});

Deno.test("a medium that was given up is adopted with its grants fenced, also with a damaged copy", async () => {
  const disks = disksOf(2, 64);
  const { known, ids, volume } = await granted(disks, 8);
  const [gone] = volume.media;
  const forgotten = [gone!];
  for (const isDamaged of [false, true]) {
    const copies = disks.map((disk) => disk.clone(disk.path));
    const its = copies[ids.indexOf(gone!)]!;
    if (isDamaged) {
      const bytes = its.peek(its.sizeBytes - MIB, 4096);
      bytes[100]! ^= 1;
      its.preset(its.sizeBytes - MIB, bytes);
    }
    const options = { knownSequences: known, forgotten, seed: 2 };
    const looking = await told(await openStore(copies, options));
    const back = looking.media.find(({ id }) => id === gone)!;
    assert.equal(back.state, isDamaged ? "quarantined" : "stale");
    assert.deepEqual(looking.volumes, []);
    const adopting = { mediumId: gone!, sequence: back.sequence };
    const adopted = await openStore(copies, { ...options, adopting, seed: 3 });
    assert.deepEqual((await told(adopted)).volumes, [["ready", "fenced"]]);
  }
});

Deno.test("a medium that comes after the one that was given up is brought to its fence", async () => {
  const disks = disksOf(3, 16);
  const { known, ids: [gone] } = await granted(disks, 36);
  const forgotten = [gone!];
  const options = { knownSequences: known, forgotten };
  const looking = await told(await openStore(disks.slice(0, 2), { ...options, seed: 2 }));
  const { sequence } = looking.media.find(({ id }) => id === gone)!;
  const adopting = { mediumId: gone!, sequence };
  const adopted = await told(
    await openStore(disks.slice(0, 2), {
      ...{ knownSequences: looking.known, forgotten, adopting },
      seed: 3,
    }),
  );
  assert.deepEqual(adopted.volumes, [["incomplete", "fenced"]]);
  const whole = await told(await openStore(disks, { knownSequences: adopted.known, seed: 4 }));
  assert.deepEqual(whole.volumes, [["ready", "fenced"]]);
});

Deno.test("a medium that was given up and is another by now is not adopted", async () => {
  const disks = disksOf(2, 16);
  const { known, ids: [gone] } = await granted(disks, 20);
  const forgotten = [gone!];
  const looking = await told(await openStore(disks, { knownSequences: known, forgotten, seed: 2 }));
  const { sequence } = looking.media.find(({ id }) => id === gone)!;
  const adopting = { mediumId: gone!, sequence: sequence - 1 };
  const options = { knownSequences: looking.known, forgotten, adopting, seed: 3 };
  const refused = await told(await openStore(disks, options));
  assert.equal(refused.media.find(({ id }) => id === gone)!.state, "stale");
});
