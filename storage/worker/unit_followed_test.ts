import assert from "node:assert/strict";
import { unitTest } from "./testing_setting.ts";
import { UnitWorld } from "./testing_world.ts";

const NEWER = { epoch: 6, instance: "newer" };
const OLDER = { epoch: 5, instance: "older" };

unitTest(
  "a unit whose only medium is adopted follows the station that had it adopted",
  async (setting) => {
    const { kind, path } = setting;
    const { media: [before] } = await setting.world.call("storageInfo", null);
    await setting.world.drain();
    const world = new UnitWorld({ kind, path });
    try {
      const knownSequences = { [before!.id]: before!.sequence + 1000 };
      await world.start({ media: [{ path, wipe: "no" }], knownSequences });
      const { media: [{ id: mediumId, sequence, state } = { id: "", sequence: 0, state: "" }] } =
        await world.call("storageInfo", null);
      assert.equal(state, "stale");
      const change = {
        station: NEWER,
        mediumId,
        expectedSequence: sequence,
        action: "adopt",
      } as const;
      await world.call("mediumChange", change);
      const { epoch, instance } = await world.call("storageInfo", null);
      assert.deepEqual({ epoch, instance }, NEWER);
      await assert.rejects(
        world.call("mediumChange", { ...change, station: OLDER }),
        /follows station epoch 6/,
      );
      await world.drain();
    } finally {
      world.destroy();
    }
  },
);
