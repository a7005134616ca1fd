import assert from "node:assert/strict";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { LIMIT_MS } from "./testing_stall.ts";
import { unitTest } from "./testing_setting.ts";
import { STATION, UnitWorld } from "./testing_world.ts";

async function mediaOf(world: UnitWorld): Promise<readonly MediumInfo[]> {
  return (await world.call("storageInfo", null)).media;
}

function reopen(world: UnitWorld, { id, sequence }: MediumInfo) {
  const action = "reopen" as const;
  return world.begin("mediumChange", {
    ...{ station: STATION, mediumId: id, expectedSequence: sequence, action },
  });
}

/** Once what was too late lets go of its medium. */
async function reopenedAtLast(world: UnitWorld, path: string): Promise<void> {
  for (;;) {
    const medium = (await mediaOf(world)).find((one) => one.path === path)!;
    try {
      await world.run(reopen(world, medium));
      return;
    } catch (error) {
      assert.match(String(error), /this unit yet/);
      // The refusal needs no turn, and without one nothing is let go of.
      await world.turns(1);
    }
  }
}

for (const what of ["everything", "writes"] as const) {
  unitTest(
    `a medium that does not answer to ${what} when it is opened anew is left out in time`,
    async (setting) => {
      const { kind, path } = setting;
      await setting.world.drain();
      const paths = ["a", "b"].map((name) => `${path}-${name}`);
      for (const each of paths) {
        Deno.writeFileSync(each, new Uint8Array());
        Deno.truncateSync(each, 64 * MIB);
      }
      const world = new UnitWorld({ kind, path, mediumTimeoutMs: LIMIT_MS });
      try {
        await world.start({ media: paths.map((each) => ({ path: each, wipe: "no" as const })) });
        const second = (await mediaOf(world)).find((medium) => medium.path === paths[1])!;
        world.stall.opening = { path: paths[1]!, what };
        const opening = assert.rejects(
          reopen(world, second),
          what === "everything"
            ? /it is refused: .*took too long/
            : /it is failed: .*took too long/,
        );
        // The other one is through.
        await world.until(() => world.stall.count > 0 && world.stall.limits === 1);
        world.stall.passLimits();
        await world.run(opening);
        world.stall.release();
        await reopenedAtLast(world, paths[1]!);
        assert.deepEqual((await mediaOf(world)).map(({ state }) => state), ["ok", "ok"]);
        await world.drain();
      } finally {
        world.destroy();
      }
    },
  );
}

unitTest("a unit's own log names the media that it does not serve, and why", async (setting) => {
  const { kind, path } = setting;
  await setting.world.drain();
  const before = new UnitWorld({ kind, path });
  const media = [{ path, wipe: "no" as const }];
  const away = "11111111-1111-4111-8111-111111111111";
  try {
    await before.start({ media });
    const [medium] = await mediaOf(before);
    const told = () => before.logged.filter(({ message }) => message === "medium not served");
    assert.deepEqual(told(), []);
    await before.drain();
    const knownSequences = { [medium!.id]: medium!.sequence + 10, [away]: 3 };
    const world = new UnitWorld({ kind, path });
    try {
      await world.start({ media, knownSequences });
      const lines = world.logged.filter(({ message }) => message === "medium not served");
      const fields = lines.map(({ level, fields: { path, medium, state } }) => {
        return { level, path, medium, state };
      });
      assert.deepEqual(fields, [
        { level: "warn", path, medium: medium!.id, state: "stale" },
        { level: "warn", path: "", medium: away, state: "missing" },
      ]);
      assert.match(String(lines[0]!.fields["reason"]), /an old copy/);
      await world.drain();
    } finally {
      world.destroy();
    }
  } finally {
    before.destroy();
  }
});
