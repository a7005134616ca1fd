import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import { createBody, MIB, openStore } from "./testing.ts";

/** Of an opening and one change after it; two of each label, and some to spare. */
const SYNCS = 8;

/** From its `failing`-th sync on, all of a process' syncs of the medium fail. */
function failFrom(disk: MemoryMedium, failing: number): void {
  let syncs = 0;
  disk.failsSync = () => ++syncs >= failing;
}

/** A process opens the medium, makes a volume, and is killed before it keeps anything else. */
async function runAndKill(disk: MemoryMedium, volume: number): Promise<void> {
  const store = await openStore([disk]);
  await store.volumeCreate(createBody(volume, 4 * MIB)).catch((error) => {
    if (!(error instanceof DvsanError)) throw error;
  });
  disk.kill();
  await store.idle().catch(() => {});
}

for (let first = 1; first <= SYNCS; first++) {
  Deno.test(`a label whose sync ${first} failed is no riddle after a kill and a power cut`, async () => {
    for (let second = 1; second <= SYNCS; second++) {
      for (const kept of [0, 1]) {
        const disk = new MemoryMedium({ path: "/m", sizeBytes: 64 * MIB });
        await runAndKill(disk, 1);
        failFrom(disk, first);
        await runAndKill(disk, 2);
        failFrom(disk, second);
        await runAndKill(disk, 3);
        disk.cutPower({ random: () => kept, tearBytes: 512 });
        disk.failsSync = () => false;
        const store = await openStore([disk]);
        const [medium] = store.storageInfo().media;
        assert.equal(medium?.state, "ok", `then sync ${second}: ${medium?.reason}`);
        await store.close();
      }
    }
  });
}
