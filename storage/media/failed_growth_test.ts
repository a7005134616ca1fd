import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { createBody, grantBody, MIB, noFence, openStore, STATION } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStore } from "./unit_store.ts";

/** A volume of 8 MiB on /m0, which was to grow to /m1: that has the longer record in copy A. */
async function growthFails(disks: MemoryMedium[]) {
  const store = await openStore(disks);
  const made = await store.volumeCreate(createBody(1, 8 * MIB));
  await store.idle();
  const granted = await store.accessGrant(grantBody(made, 1), noFence);
  assert.equal(granted.media.length, 1);
  const isFirst = granted.media[0] === store.storageInfo().media[0]!.id;
  const other = disks[isFirst ? 1 : 0]!;
  let writes = 0;
  other.before = (what) => {
    if (what === "write" && ++writes === 2) throw new DvsanError("io", "no space is left");
  };
  await assert.rejects(
    store.volumeResize({ ...createBody(1, 20 * MIB), expectedSequence: granted.sequence }),
    /no space is left/,
  );
  other.before = () => {};
  return { store, granted };
}

async function reopened(store: UnitStore, disks: MemoryMedium[]): Promise<UnitStore> {
  await store.close();
  return await openStore(disks);
}

function shown({ volumes }: { volumes: readonly VolumeInfo[] }): string[] {
  return volumes.map(({ state, sizeBytes, media }) =>
    `${state} ${sizeBytes / MIB} MiB on ${media.length}`
  );
}

Deno.test("a volume is deleted once nothing of a failed growth can bring it back", async () => {
  const disks = [0, 1].map((n) => new MemoryMedium({ path: `/m${n}`, sizeBytes: 16 * MIB }));
  const { store, granted } = await growthFails(disks);
  const change = { station: STATION, volumeId: granted.id };
  const { sequence } = await store.accessRevoke({
    ...change,
    expectedSequence: granted.sequence,
    generation: { epoch: 1, counter: 1 },
  }, noFence);
  const remove = (at: UnitStore) => at.volumeDelete({ ...change, expectedSequence: sequence });
  await assert.rejects(remove(store), /may be a record of it on medium .* which is failed.*reopen/);
  const again = await reopened(store, disks);
  assert.deepEqual(shown(again.storageInfo()), ["ready 8 MiB on 1"]);
  await remove(again);
  const last = await reopened(again, disks);
  assert.deepEqual(shown(last.storageInfo()), []);
  await last.close();
});

Deno.test("a volume that grew elsewhere after a failed growth is as was told", async () => {
  const disks = [0, 1].map((n) => new MemoryMedium({ path: `/m${n}`, sizeBytes: 16 * MIB }));
  const { store, granted } = await growthFails(disks);
  const { sequence: expectedSequence } = granted;
  const grown = await store.volumeResize({ ...createBody(1, 10 * MIB), expectedSequence });
  await store.idle();
  await store.accessGrant(grantBody(grown, 1), noFence);
  const again = await reopened(store, disks);
  assert.deepEqual(shown(again.storageInfo()), ["ready 10 MiB on 1"]);
  await again.close();
});
