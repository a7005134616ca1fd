import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { unitTest } from "./testing_setting.ts";
import { HOST, legOf, STATION, UnitWorld } from "./testing_world.ts";

const OTHER = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";

function create(volumeId: string) {
  return { station: STATION, volumeId, expectedSequence: 0, sizeBytes: MIB, leg: legOf(HOST) };
}

unitTest(
  "a volume's number is kept by the control thread before it is given, over reopenings",
  async (setting) => {
    const { kind, path, world: before } = setting;
    await before.drain();
    const world = new UnitWorld({ kind, path });
    try {
      await world.start({ numbersFrom: 7 });
      world.numbersProblem = "its state directory is full";
      const refused = world.call("volumeCreate", create(OTHER));
      await assert.rejects(refused, { code: "io", message: /its state directory is full/ });
      assert.deepEqual(world.numbersKept, [8]);
      world.numbersProblem = null;
      const made = await world.call("volumeCreate", create(OTHER));
      assert.equal(made.number, 7);
      assert.deepEqual(world.numbersKept, [8, 8]);
      await world.idle();
      const { media } = await world.call("storageInfo", null);
      const [{ id: mediumId, sequence: expectedSequence }] = media as [typeof media[0]];
      await world.reopened({ station: STATION, mediumId, expectedSequence, action: "reopen" });
      const third = OTHER.replace("1f", "2f");
      assert.equal((await world.call("volumeCreate", create(third))).number, 8);
      assert.deepEqual(world.numbersKept, [8, 8, 9]);
      await world.drain();
    } finally {
      world.destroy();
    }
  },
);
