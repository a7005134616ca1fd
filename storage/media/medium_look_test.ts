import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import { createBody, MIB, openStore } from "./testing.ts";

Deno.test("a look at a medium that cannot be read is said once, until it can be read again", async () => {
  const disk = new MemoryMedium({ path: "/m", sizeBytes: 16 * MIB });
  const lines: LogLine[] = [];
  const store = await openStore([disk], { log: createLog((line) => lines.push(line)) });
  await store.volumeCreate(createBody(1, 4 * MIB));
  await store.idle();
  lines.length = 0;
  const [id] = store.mediumIds();
  const look = async (times: number) => {
    for (let i = 0; i < times; i++) {
      store.lookAt(id!);
      await store.idle();
    }
  };
  for (let round = 1; round <= 2; round++) {
    disk.before = () => {
      throw new DvsanError("io", "EIO");
    };
    await look(5);
    assert.equal(lines.length, round);
    assert.deepEqual(lines.at(-1)!.fields, { medium: id, reason: "EIO" });
    assert.equal(store.storageInfo().media[0]!.state, "ok");
    disk.before = () => {};
    await look(2);
  }
  assert.equal(lines.length, 2);
  await store.close();
});
