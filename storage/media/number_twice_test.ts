import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { createBody, openStore, STATION } from "./testing.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";

Deno.test("a volume does not grow onto a medium with another volume of its number", async () => {
  const [first, second] = ["/m0", "/m1"].map((path) =>
    new MemoryMedium({ path, sizeBytes: 16 * MIB })
  );
  // The record of the next number was lost while the first medium was away.
  for (const [index, medium] of [first!, second!].entries()) {
    const store = await openStore([medium], { seed: index + 1 });
    const { number } = await store.volumeCreate(createBody(index + 1, 4 * MIB));
    assert.equal(number, 1);
    await store.close();
  }
  const store = await openStore([first!, second!]);
  await store.idle();
  const { leg, sequence, id } = store.storageInfo().volumes[0]!;
  const body = { station: STATION, volumeId: id, expectedSequence: sequence, leg };
  await assert.rejects(
    store.volumeResize({ ...body, sizeBytes: 16 * MIB }),
    /^DvsanError: .*number 1/,
  );
  assert.deepEqual(store.storageInfo().media.map(({ state }) => state), ["ok", "ok"]);
  const grown = await store.volumeResize({ ...body, sizeBytes: 5 * MIB });
  assert.equal(grown.sizeBytes, 5 * MIB);
  await store.close();
});
