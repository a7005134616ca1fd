import assert from "node:assert/strict";
import { LABEL_REGION_BYTES } from "../../protocol/core/limits.ts";
import { MemoryMedium } from "./testing_memory_medium.ts";
import { MIB, openStore } from "./testing.ts";

/** Media that are not what their first label copy says. */

async function labelled(path: string, sizeBytes: number) {
  const disk = new MemoryMedium({ path, sizeBytes });
  const store = await openStore([disk], { seed: path.charCodeAt(2) });
  const { media: [medium] } = store.storageInfo();
  const known = { knownSequences: store.sequences(), knownDevices: store.devices() };
  await store.close();
  return { disk, id: medium!.id, known };
}

Deno.test("a whole label on a device that is shorter than it says is quarantined", async () => {
  const { disk, id } = await labelled("/m0", 16 * MIB);
  const short = new MemoryMedium({ path: "/short", sizeBytes: 12 * MIB });
  short.preset(0, disk.peek(0, 12 * MIB));
  for (const adopting of [undefined, { mediumId: id, sequence: 3 }]) {
    const store = await openStore([short], adopting === undefined ? {} : { adopting });
    const { media: [medium] } = store.storageInfo();
    assert.equal(medium!.state, "quarantined");
    assert.equal(medium!.sequence, 3);
    assert.equal(medium!.shrunk, true);
    assert.match(medium!.reason!, /shrunk from 16777216 to 12582912 bytes, and cannot be adopted/);
    assert.match(medium!.reason!, /start the unit without it and forget it/);
    await store.close();
  }
});

for (const anotherMib of [16, 12, 24]) {
  const name = `a medium whose first copy is that of another one of ${anotherMib} MiB is listed ` +
    "as itself, and as nothing to adopt";
  Deno.test(name, async () => {
    const { disk, id, known } = await labelled("/m0", 16 * MIB);
    const another = await labelled("/m1", anotherMib * MIB);
    disk.preset(0, another.disk.peek(0, LABEL_REGION_BYTES));
    // Both are known to the unit: the device tells, the sequences do not.
    const knownSequences = { ...another.known.knownSequences, ...known.knownSequences };
    const knownDevices = { ...another.known.knownDevices, ...known.knownDevices };
    for (
      const options of [{ knownSequences, knownDevices }, {
        knownSequences: known.knownSequences,
      }]
    ) {
      const store = await openStore([disk], options);
      const medium = store.storageInfo().media.find(({ path }) => path === "/m0");
      assert.equal(medium?.id, id);
      assert.equal(medium.state, "quarantined");
      assert.equal(medium.sequence, 0, "no label of it is there to be taken over");
      assert.match(medium.reason!, new RegExp(`different media: copy A ${another.id} .* ${id} `));
      await store.close();
    }
  });
}

Deno.test("an enlarged device whose end holds what is left of another medium is served", async () => {
  const { disk, id } = await labelled("/m0", 16 * MIB);
  const another = await labelled("/m1", 24 * MIB);
  const enlarged = new MemoryMedium({ path: "/m0", sizeBytes: 24 * MIB });
  enlarged.preset(0, disk.peek(0, 16 * MIB));
  enlarged.preset(16 * MIB, another.disk.peek(16 * MIB, 8 * MIB));
  const store = await openStore([enlarged]);
  const { media: [medium] } = store.storageInfo();
  assert.equal(medium!.id, id);
  assert.equal(medium!.state, "ok");
  await store.close();
});
