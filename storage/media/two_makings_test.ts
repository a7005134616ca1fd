import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import type { StorageInfo } from "../../protocol/config/bodies.ts";
import { createBody, grantBody, noFence, openStore } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";

const OTHER_UNIT = "ffffffffffffffffffffffffffffffff";

function media(): readonly [MemoryMedium, MemoryMedium] {
  const [one, other] = ["/m0", "/m1"].map((path) =>
    new MemoryMedium({ path, sizeBytes: 32 * MIB })
  );
  return [one!, other!];
}

/** Another unit makes the same volume there; `seed`: of the medium's id. */
async function makeElsewhere(medium: MemoryMedium, o: { seed: number; isGranted: boolean }) {
  const store = await openStore([medium], { unitId: OTHER_UNIT, seed: o.seed });
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  if (o.isGranted) await store.accessGrant(grantBody(made, 1), noFence);
  await store.close();
}

function foreignOf({ media }: StorageInfo) {
  const { id: mediumId, sequence } = media.find(({ state }) => state === "foreign")!;
  return { mediumId, sequence };
}

/** Takes the media over, one after the other. */
async function adoptBoth(media: readonly MemoryMedium[]): Promise<StorageInfo> {
  let knownSequences = {};
  for (let count = 0; count < media.length; count++) {
    const looking = await openStore(media, { knownSequences });
    const adopting = foreignOf(looking.storageInfo());
    await looking.close();
    const store = await openStore(media, { adopting, knownSequences: looking.sequences() });
    knownSequences = store.sequences();
    await store.close();
  }
  const last = await openStore(media, { knownSequences });
  await last.close();
  return last.storageInfo();
}

for (const [first, second] of [[false, false], [true, false], [false, true]] as const) {
  const words = (isGranted: boolean) => isGranted ? "granted" : "never granted";
  Deno.test(`two makings of a volume are taken over, ${words(first)} and ${words(second)}`, async () => {
    const [one, other] = media();
    await makeElsewhere(one, { seed: 5, isGranted: first });
    await makeElsewhere(other, { seed: 6, isGranted: second });
    const { volumes, media: now } = await adoptBoth([one, other]);
    assert.deepEqual(now.map(({ state }) => state), ["ok", "ok"]);
    assert.equal(volumes.length, 1);
    assert.equal(volumes[0]!.state, "ready");
    if (first || second) assert.deepEqual(volumes[0]!.media, [now[first ? 0 : 1]!.id]);
  });
}

Deno.test("two makings of a volume that were both granted are a conflict, and neither is used", async () => {
  const [one, other] = media();
  await makeElsewhere(one, { seed: 5, isGranted: true });
  await makeElsewhere(other, { seed: 6, isGranted: true });
  const { volumes } = await adoptBoth([one, other]);
  assert.deepEqual(volumes.map(({ state }) => state), ["failed"]);
});
