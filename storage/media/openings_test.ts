import assert from "node:assert/strict";
import { hexOf } from "../../protocol/core/bytes.ts";
import { MIB, OPENINGS_KEPT_MAX } from "../../protocol/core/limits.ts";
import { hasComeOf, type MediumPast } from "../../protocol/config/openings.ts";
import { createBody, grantBody, noFence, openStore } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

function mediumOf(sizeBytes = 64 * MIB): MemoryMedium {
  return new MemoryMedium({ path: "/m0", sizeBytes });
}

/** What the store tells of its medium number `index`. */
function pastOf(store: UnitStore, index = 0): MediumPast {
  const { openings, sequence } = store.storageInfo().media[index]!;
  return { openings: openings!, sequence };
}

/** Opened and closed once; each opening of these tests has other random numbers. */
async function openedOnce(disk: MemoryMedium, seed: number): Promise<MediumPast> {
  const store = await openStore([disk], { seed });
  const past = pastOf(store);
  await store.close();
  return past;
}

/** As it was at the path of the original: the same device, put back. */
function putBack(copy: MemoryMedium): MemoryMedium {
  return copy.clone("/m0");
}

Deno.test("each opening writes an id of its own beside those before it, as many as a label keeps", async () => {
  const disk = mediumOf();
  let before = await openedOnce(disk, 1);
  assert.equal(before.openings.length, 1);
  const ids = new Set<string>();
  for (let seed = 2; seed < OPENINGS_KEPT_MAX + 6; seed++) {
    const now = await openedOnce(disk, seed);
    assert.equal(hasComeOf(now, before), "yes");
    assert.equal(hasComeOf(before, now), "no");
    assert.deepEqual(now.openings.slice(1), before.openings.slice(0, OPENINGS_KEPT_MAX - 1));
    ids.add(hexOf(now.openings[0]![0]));
    before = now;
  }
  assert.equal(before.openings.length, OPENINGS_KEPT_MAX);
  assert.equal(ids.size, OPENINGS_KEPT_MAX + 4);
});

Deno.test("media of one unit tell of the opening, and one that is not open tells nothing", async () => {
  const disks = ["/m0", "/m1"].map((path) => new MemoryMedium({ path, sizeBytes: 16 * MIB }));
  const store = await openStore(disks);
  assert.deepEqual(pastOf(store, 0).openings[0]![0], pastOf(store, 1).openings[0]![0]);
  const knownSequences = store.sequences();
  await store.close();
  const alone = await openStore([disks[0]!], { knownSequences, seed: 2 });
  const [open, missing] = alone.storageInfo().media;
  assert.deepEqual([open?.openings?.length, missing?.state, missing?.openings], [
    2,
    "missing",
    undefined,
  ]);
  await alone.close();
});

Deno.test("a medium that was put back with its unit goes on from what was seen once that was accepted", async () => {
  const disk = mediumOf();
  const store = await openStore([disk]);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  await store.accessGrant(grantBody(made, 1), noFence);
  const knownSequences = store.sequences();
  await store.close();
  const old = disk.clone("/copy");
  const past = await openedOnce(disk, 2);
  const older = putBack(old);
  const served = await openStore([older], { knownSequences, seed: 3 });
  assert.equal(served.storageInfo().media[0]?.state, "ok", "the unit knows no better");
  assert.equal(hasComeOf(pastOf(served), past), "no");
  const { id: mediumId, sequence } = served.storageInfo().media[0]!;
  const records = served.storageInfo().volumes;
  await served.close();
  const adopting = { mediumId, sequence, past };
  const taken = await openStore([older], { knownSequences: served.sequences(), seed: 4, adopting });
  const now = pastOf(taken);
  assert.equal(hasComeOf(now, past), "yes");
  assert.ok(now.sequence > past.sequence);
  assert.deepEqual(taken.storageInfo().volumes, records, "what it holds stays as it is");
  await taken.close();
  const last = await openedOnce(older, 5);
  assert.equal(hasComeOf(last, past), "yes");
  assert.equal(hasComeOf(last, now), "yes");
});

Deno.test("an old copy that is adopted goes on from what was seen, and a right one from its own", async () => {
  const disk = mediumOf();
  const old = (await openedOnce(disk, 1), disk.clone("/copy"));
  const store = await openStore([disk], { seed: 2 });
  const past = pastOf(store);
  const knownSequences = store.sequences();
  const { id: mediumId } = store.storageInfo().media[0]!;
  await store.close();
  const stale = putBack(old);
  const looking = await openStore([stale], { knownSequences, seed: 3 });
  const [medium] = looking.storageInfo().media;
  assert.deepEqual([medium?.state, medium?.openings], ["stale", undefined]);
  await looking.close();
  const { sequence } = medium!;
  const of = { knownSequences, seed: 4 };
  const adopted = await openStore([stale], { ...of, adopting: { mediumId, sequence, past } });
  assert.equal(adopted.storageInfo().media[0]?.state, "ok");
  assert.equal(hasComeOf(pastOf(adopted), past), "yes");
  await adopted.close();
  // Nothing is to be accepted of the right one.
  const adopting = { mediumId, sequence: past.sequence, past };
  const right = await openStore([disk], { ...of, adopting });
  assert.deepEqual(pastOf(right).openings.slice(1), past.openings);
  assert.equal(pastOf(right).sequence, past.sequence + 1, "it was opened, and no more");
  await right.close();
});
