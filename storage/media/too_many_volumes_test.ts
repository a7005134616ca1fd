import assert from "node:assert/strict";
import { MIB, VOLUMES_PER_UNIT_MAX } from "../../protocol/core/limits.ts";
import { StorageInfo } from "../../protocol/config/bodies.ts";
import { createBody, openStore, UNIT_ID } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";

const OTHER_UNIT = "ffffffffffffffffffffffffffffffff";

Deno.test("a medium is not taken over with more volumes than a unit can tell of", async () => {
  const disks = ["/m0", "/m1"].map((path) => new MemoryMedium({ path, sizeBytes: 1200 * MIB }));
  const half = VOLUMES_PER_UNIT_MAX / 2 + 1;
  for (const [index, disk] of disks.entries()) {
    const unitId = index === 0 ? OTHER_UNIT : UNIT_ID;
    const store = await openStore([disk], { unitId, seed: index + 1 });
    const bodies = Array.from({ length: half }, (_, n) => createBody(index * half + n, MIB));
    await Promise.all(bodies.map((body) => store.volumeCreate(body)));
    await store.close();
  }
  const store = await openStore(disks);
  const medium = store.storageInfo().media.find(({ state }) => state === "foreign");
  const adopting = { mediumId: medium!.id, sequence: medium!.sequence };
  await store.close();
  const next = await openStore(disks, { adopting, knownSequences: store.sequences() });
  const info = next.storageInfo();
  assert.equal(StorageInfo.safeParse(info).error, undefined);
  assert.match(info.media[1]!.reason!, /cannot be taken over: .* 1026 volumes .* at most 1024/);
  await next.close();
  const later = await openStore(disks, { knownSequences: next.sequences() });
  assert.equal(later.storageInfo().media[1]!.state, "foreign", "its label is as it was");
  await later.close();
});
