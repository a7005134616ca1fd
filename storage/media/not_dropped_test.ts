import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createBody, MIB, openStore, STATION } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";

function failWrites(disk: MemoryMedium, from: number): void {
  let writes = 0;
  disk.before = (what) => {
    if (what === "write" && ++writes >= from) throw new DvsanError("io", "a write failed");
  };
}

for (const failing of [[0], [1], [0, 1]]) {
  Deno.test(`a deletion that was cut is told to be done once no label has it: media ${failing} fail`, async () => {
    const disks = [0, 1].map((n) => new MemoryMedium({ path: `/m${n}`, sizeBytes: 16 * MIB }));
    const store = await openStore(disks);
    const { id, media, sequence } = await store.volumeCreate(createBody(1, 20 * MIB));
    assert.equal(media.length, 2);
    await store.idle();
    const remove = (at: typeof store) =>
      at.volumeDelete({ station: STATION, volumeId: id, expectedSequence: sequence });
    // It is announced on both copies of both labels, and goes no further.
    for (const disk of disks) failWrites(disk, 3);
    await assert.rejects(remove(store), /a write failed/);
    await store.close();
    for (const disk of disks) disk.before = () => {};
    for (const n of failing) failWrites(disks[n]!, 1);
    const again = await openStore(disks);
    const told = () =>
      again.storageInfo().volumes.map(({ state, reason }) => `${state}: ${reason}`);
    assert.match(
      told().join(),
      /^failed: it is to be dropped, and medium .* is failed: .*write failed/,
    );
    await assert.rejects(remove(again), /there may be a record of it on medium .* reopen/);
    assert.equal(told().length, 1);
    await again.close();
    for (const disk of disks) disk.before = () => {};
    const last = await openStore(disks);
    assert.deepEqual(last.storageInfo().volumes, []);
    assert.equal(await remove(last), null);
    await last.close();
  });
}
