import assert from "node:assert/strict";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { unitTest } from "./testing_setting.ts";
import { STATION, UnitWorld } from "./testing_world.ts";

const SLOW = /took too long|is stalled|this unit yet/;

async function mediaOf(world: UnitWorld): Promise<readonly MediumInfo[]> {
  return (await world.call("storageInfo", null)).media;
}

function reopen(world: UnitWorld, { id, sequence }: MediumInfo) {
  const action = "reopen" as const;
  return world.call("mediumChange", {
    ...{ station: STATION, mediumId: id, expectedSequence: sequence, action },
  });
}

/** On a loaded machine a sound medium may take as long. */
async function despiteLoad<T>(run: Promise<T>): Promise<T | null> {
  try {
    return await run;
  } catch (error) {
    assert.match(String(error), SLOW);
    return null;
  }
}

async function allOpen(world: UnitWorld): Promise<void> {
  for (;;) {
    const bad = (await mediaOf(world)).find(({ state, path }) => state !== "ok" && path !== "");
    if (bad === undefined) break;
    await despiteLoad(reopen(world, bad));
  }
  assert.deepEqual((await mediaOf(world)).map(({ state }) => state), ["ok", "ok"]);
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
      const world = new UnitWorld({ kind, path, mediumTimeoutMs: 1000 });
      try {
        const media = paths.map((each) => ({ path: each, wipe: "no" as const }));
        while (await despiteLoad(world.start({ media }).then(() => true)) === null);
        await allOpen(world);
        const second = (await mediaOf(world)).find((medium) => medium.path === paths[1])!;
        world.stall.opening = { path: paths[1]!, what };
        await assert.rejects(
          reopen(world, second),
          what === "everything"
            ? /it is refused: .*took too long/
            : /it is failed: .*took too long/,
        );
        world.stall.release();
        await allOpen(world);
        await world.drain();
      } finally {
        world.destroy();
      }
    },
  );
}
