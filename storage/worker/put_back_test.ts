import assert from "node:assert/strict";
import { testingOpenings } from "../../protocol/config/testing_openings.ts";
import { unitTest } from "./testing_setting.ts";
import { STATION } from "./testing_world.ts";

unitTest(
  "a medium that is served is taken as it is, once, for what the station saw",
  async (setting) => {
    const { world } = setting;
    const mediumOf = async () => (await world.call("storageInfo", null)).media[0]!;
    await world.idle();
    const before = await mediumOf();
    const past = { openings: testingOpenings("z500 y1"), sequence: 900 };
    const changeOf = (expectedSequence: number) => ({
      station: STATION,
      mediumId: before.id,
      action: "adopt" as const,
      expectedSequence,
    });
    // Without what the station saw it is as it is.
    assert.deepEqual(await world.call("mediumChange", changeOf(before.sequence)), await mediumOf());
    const { id, sequence } = await mediumOf();
    assert.equal(sequence - before.sequence < 5, true);
    await assert.rejects(
      world.call("mediumChange", { ...changeOf(sequence + 1), past }),
      { code: "sequence-mismatch" },
    );
    const taken = await world.call("mediumChange", { ...changeOf(sequence), past });
    assert.deepEqual([taken?.id, taken?.state], [id, "ok"]);
    assert.ok(taken!.sequence > past.sequence);
    assert.deepEqual(taken!.openings!.slice(1), past.openings);
    await world.idle();
    // A repeat, whose answer was lost.
    await world.call("mediumChange", { ...changeOf(sequence), past });
    assert.deepEqual((await mediumOf()).openings, taken!.openings, "it was not opened again");
  },
);
