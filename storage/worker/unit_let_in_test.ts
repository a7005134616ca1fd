import assert from "node:assert/strict";
import { ATTACHMENTS_PER_RUN } from "../../protocol/core/limits.ts";
import { unitTest } from "./testing_setting.ts";
import { grantOf, STATION, UnitWorld, VOLUME } from "./testing_world.ts";

/** Who was let in last is known to a unit after its restart. */

const RUN = ATTACHMENTS_PER_RUN;
const OLD = 3 * RUN + 5;
const COPY = 5 * RUN + 9;

unitTest(
  "a copied host's lower number is refused also after its unit's restart",
  async (setting) => {
    const { kind, path, world, volume } = setting;
    for (const attachment of [OLD, COPY]) await (await world.attached({ attachment })).leave();
    await world.drain();
    assert.deepEqual(world.letIn, { [VOLUME]: { epoch: 1, counter: 1, first: 5 * RUN } });
    const next = new UnitWorld({ kind, path });
    try {
      await next.start({ letIn: world.letIn });
      assert.equal(await next.refusal({ attachment: OLD + 1 }), "superseded");
      // Of one run is one process: what it had done it knows, also of a number that was let in.
      await (await next.attached({ attachment: 5 * RUN + 3 })).leave();
      assert.deepEqual(next.letIn, {}, "that run is kept already");
      await next.idle();
      const { media: [medium] } = await next.call("storageInfo", null);
      const { id: mediumId, sequence: expectedSequence } = medium!;
      await (await next.attached({ attachment: 8 * RUN })).leave();
      await next.reopened({ station: STATION, mediumId, expectedSequence, action: "reopen" });
      assert.equal(await next.refusal({ attachment: COPY + 1 }), "superseded");
      const now = (await next.call("storageInfo", null)).volumes[0]!;
      await next.call("accessGrant", grantOf(now, { counter: 2 }));
      await (await next.attached({ attachment: RUN, counter: 2 })).leave();
      await next.drain();
      assert.deepEqual(next.letIn, { [VOLUME]: { epoch: 1, counter: 2, first: RUN } });
      assert.equal(volume.id, VOLUME);
    } finally {
      next.destroy();
    }
  },
);

unitTest(
  "nobody is let in before that is kept, and all who come meanwhile share a write",
  async ({ world }) => {
    world.keepsLetIn = false;
    const attaching = world.attach({ attachment: OLD });
    await world.until(() => world.letInAsked.length === 1);
    let isAnswered = false;
    const joining = world.attach({ attachment: OLD }).finally(() => isAnswered = true);
    await world.turns(20);
    assert.equal(isAnswered, false);
    // Whoever is thrown out meanwhile is not let in by that any more.
    const next = world.attach({ attachment: COPY });
    await world.run(attaching);
    assert.equal((await world.run(attaching)).kind, "failed");
    assert.equal((await world.run(joining)).kind, "failed");
    assert.deepEqual(world.letInAsked, [1], "one write at a time");
    world.keepsLetIn = true;
    await world.call("letInKept", { number: 1 });
    assert.equal((await world.run(next)).kind, "attached");
    assert.deepEqual(world.letInAsked, [1, 2]);
  },
);
