import assert from "node:assert/strict";
import type { UnitStart } from "./messages.ts";
import { copyMedium, type Setting, unitTest } from "./testing_setting.ts";
import { STATION, UnitWorld } from "./testing_world.ts";

/** What a unit tells of its memory over restarts of its process and of its machine. */

const EIO = 5;

let copies = 0;

/** The next process on what the medium of one before holds; `look` is told how it answers. */
async function after(
  { kind, world }: Setting,
  { before, bootId, ...start }: Partial<UnitStart> & { before: UnitWorld; bootId?: string },
  look: (next: UnitWorld, told: { verifier: string; continuity: string }) => void | Promise<void>,
): Promise<void> {
  const path = `${world.path}-${++copies}`;
  copyMedium(before.path, path);
  const next = new UnitWorld({ kind, path, bootId: bootId ?? before.bootId });
  try {
    await next.start(start);
    const client = await next.attached({ attachment: 2 });
    await look(next, client);
    await client.leave();
    await next.drain();
  } finally {
    next.destroy();
  }
}

unitTest(
  "a unit's continuity outlasts its process, and neither its machine nor its record",
  async (setting) => {
    const { world } = setting;
    const client = await world.attached({ attachment: 1 });
    assert.equal(await client.write(0, 1), 0);
    const { continuities } = world;
    await after(setting, { before: world, continuities }, (next, told) => {
      assert.notEqual(told.verifier, client.verifier);
      assert.equal(told.continuity, client.continuity);
      assert.deepEqual(next.continuities, continuities);
    });
    await after(setting, { before: world, continuities, bootId: "other" }, (_, told) => {
      assert.notEqual(told.continuity, client.continuity, "its machine was started anew");
    });
    await after(setting, { before: world }, (_, told) => {
      assert.notEqual(told.continuity, client.continuity, "nobody knows what it lost");
    });
    await client.leave();
  },
);

unitTest(
  "a medium that failed and is good again is told by its unit's continuity",
  async (setting) => {
    const { world } = setting;
    const client = await world.attached({ attachment: 1 });
    assert.equal(await client.write(0, 3), 0);
    world.stall.failingSyncs = 1;
    assert.equal(await client.flush(), EIO);
    await client.leave();
    const { continuities, poisoned } = world;
    await after(
      setting,
      { before: world, continuities, poisonedMedia: poisoned },
      async (next, it) => {
        assert.notEqual(it.continuity, client.continuity);
        const { media: [medium] } = await next.call("storageInfo", null);
        const { id: mediumId, sequence: expectedSequence } = medium!;
        await next.reopened({ station: STATION, mediumId, expectedSequence, action: "reopen" });
        const back = await next.attached({ attachment: 3 });
        assert.notEqual(
          back.continuity,
          it.continuity,
          "nor is there what came while it was poisoned",
        );
        await back.leave();
        const known = { continuities: next.continuities };
        await after(setting, { before: next, ...known }, (_, told) => {
          assert.equal(told.continuity, back.continuity);
        });
      },
    );
  },
);
