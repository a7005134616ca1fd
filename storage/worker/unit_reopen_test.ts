import assert from "node:assert/strict";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { Errno } from "../io/errno.ts";
import type { UnitStart } from "./messages.ts";
import { copyMedium, type Setting, unitTest } from "./testing_setting.ts";
import { LIMIT_MS } from "./testing_stall.ts";
import { STATION, UnitWorld } from "./testing_world.ts";

const SIZE_BYTES = 64 * MIB;

/** A unit with the setting's medium and a second one; all is stopped afterwards. */
async function withTwoMedia(
  setting: Setting,
  run: (world: UnitWorld, paths: readonly [string, string]) => Promise<void>,
  options: { readonly fenceAnswerMs?: number; readonly isAdopted?: boolean } = {},
): Promise<void> {
  const { kind, path } = setting;
  await setting.world.drain();
  const paths = [`${path}-a`, `${path}-b`] as const;
  copyMedium(path, paths[0]);
  Deno.writeFileSync(paths[1], new Uint8Array());
  Deno.truncateSync(paths[1], SIZE_BYTES);
  const media = paths.map((each) => ({ path: each, wipe: "no" as const }));
  const { fenceAnswerMs } = options;
  const worldOptions = { kind, path, ...(fenceAnswerMs !== undefined && { fenceAnswerMs }) };
  let knownSequences = {};
  if (options.isAdopted === true) {
    const before = new UnitWorld(worldOptions);
    try {
      await before.start({ media });
      const { id, sequence } = await mediumAt(before, paths[1]);
      // As if the second medium were put back from a copy.
      knownSequences = { [id]: sequence + 1000 };
      await before.drain();
    } finally {
      before.destroy();
    }
  }
  const world = new UnitWorld(worldOptions);
  try {
    await world.start({ media, knownSequences });
    await run(world, paths);
    await world.drain();
  } finally {
    world.destroy();
  }
}

/**
 * A unit that had two media and finds only the first at its start, while it remembers of the second
 * what it knew; `bring` puts that one back.
 */
async function withOneOut(
  setting: Setting,
  options: {
    readonly remembers?: (id: string) => Pick<UnitStart, "poisonedMedia">;
    readonly run: (world: UnitWorld, out: {
      readonly id: string;
      readonly path: string;
      readonly bring: () => void;
    }) => Promise<void>;
  },
): Promise<void> {
  await withTwoMedia(setting, async (before, [first, path]) => {
    const { id } = await mediumAt(before, path);
    await before.drain();
    Deno.renameSync(path, `${path}-out`);
    const world = new UnitWorld({ kind: setting.kind, path: first });
    try {
      const media = [first, path].map((each) => ({ path: each, wipe: "no" as const }));
      await world.start({ media, knownSequences: { [id]: 1 }, ...options.remembers?.(id) });
      await options.run(world, { id, path, bring: () => Deno.renameSync(`${path}-out`, path) });
      await world.drain();
    } finally {
      world.destroy();
    }
  });
}

async function mediumAt(world: UnitWorld, path: string): Promise<MediumInfo> {
  const { media } = await world.call("storageInfo", null);
  const found = media.find((medium) => medium.path === path);
  assert.ok(found !== undefined);
  return found;
}

async function states(world: UnitWorld): Promise<string[]> {
  return (await world.call("storageInfo", null)).media.map(({ state }) => state);
}

/** Begins looks at that many media, which stall. */
async function looking(world: UnitWorld, count: number): Promise<void> {
  // A label update looks for itself.
  await world.idle();
  world.stall.reading = true;
  while (world.stall.count < count) {
    await world.call("checkMedia", null);
    await world.turns(1);
  }
}

function changeOf({ id, sequence }: MediumInfo, action: "adopt" | "reopen") {
  return { station: STATION, mediumId: id, expectedSequence: sequence, action };
}

for (const action of ["adopt", "reopen"] as const) {
  unitTest(
    `to ${action} a medium waits for a heartbeat's look at the others`,
    (setting) =>
      withTwoMedia(setting, async (world, [first, second]) => {
        const medium = await mediumAt(world, second);
        assert.equal(medium.state, action === "adopt" ? "stale" : "ok");
        await looking(world, action === "adopt" ? 1 : 2);
        let isAnswered = false;
        const changing = world.begin("mediumChange", changeOf(medium, action));
        void changing.then(() => isAnswered = true, () => isAnswered = true);
        await world.turns(100);
        assert.equal(isAnswered, false, "a read of a medium that is to be closed is under way");
        world.stall.release();
        assert.equal((await world.run(changing))?.state, "ok");
        assert.deepEqual(await states(world), ["ok", "ok"]);
        assert.equal((await mediumAt(world, first)).errors, 0);
      }, { isAdopted: action === "adopt" }),
  );
}

unitTest(
  "a look that stalls leaves all media as they were",
  (setting) =>
    withTwoMedia(setting, async (world, [, second]) => {
      const change = changeOf(await mediumAt(world, second), "reopen");
      await looking(world, 2);
      await world.givenUp(change);
      assert.deepEqual(await states(world), ["ok", "ok"]);
      world.stall.release();
      await world.turns(10);
      await looking(world, 2);
      world.stall.release();
      await world.reopened(change);
      assert.deepEqual(await states(world), ["ok", "ok"]);
    }, { fenceAnswerMs: LIMIT_MS }),
);

/** A fence that waits for a write of the host that it shuts out. */
async function fencing(world: UnitWorld) {
  const client = await world.attached({ attachment: 1 });
  world.stall.on = true;
  const inFlight = client.beginWrite(0, 7);
  await world.until(() => world.stall.count === 1);
  const { volumes: [volume] } = await world.call("storageInfo", null);
  assert.ok(volume !== undefined);
  const body = {
    station: STATION,
    volumeId: volume.id,
    expectedSequence: volume.sequence,
    generation: { epoch: 1, counter: 1 },
  };
  return { inFlight, ask: () => world.begin("accessRevoke", body) };
}

unitTest(
  "a medium is opened anew once a fence that is under way is through",
  (setting) =>
    withTwoMedia(setting, async (world, [first]) => {
      const medium = await mediumAt(world, first);
      const { inFlight, ask } = await fencing(world);
      const revoking = ask();
      let isAnswered = false;
      const changing = world.begin("mediumChange", changeOf(medium, "reopen"));
      void changing.then(() => isAnswered = true, () => isAnswered = true);
      await world.turns(100);
      assert.equal(isAnswered, false, "a write of the fenced host is under way");
      world.stall.release();
      assert.equal((await world.run(revoking)).grant?.state, "fenced");
      assert.equal((await world.run(changing))?.state, "ok");
      assert.equal(await world.run(inFlight), -1);
      assert.equal((await world.call("storageInfo", null)).volumes[0]?.grant?.state, "fenced");
    }),
);

unitTest(
  "a fence that goes on behind its answer keeps all media as they are",
  (setting) =>
    withTwoMedia(setting, async (world, [first]) => {
      const change = changeOf(await mediumAt(world, first), "reopen");
      const { inFlight, ask } = await fencing(world);
      const late = assert.rejects(ask(), { code: "fencing" });
      await world.turns(10);
      world.stall.passLimits();
      await world.run(late);
      const begun = world.stall.limitsBegun;
      const refused = { code: "busy", message: /fence or grant.*is stalled. Nothing was changed/ };
      const asked = assert.rejects(world.begin("mediumChange", change), refused);
      await world.until(() => world.stall.limitsBegun === begun + 1);
      world.stall.passLimits();
      await world.run(asked);
      world.stall.release();
      assert.equal((await world.run(ask())).grant?.state, "fenced");
      assert.equal(await world.run(inFlight), -1);
      await world.reopened(change);
    }, { fenceAnswerMs: LIMIT_MS }),
);

unitTest(
  "a unit keeps its port while it opens its media anew, and lets in who has come meanwhile",
  (setting) =>
    withTwoMedia(setting, async (world, [, second]) => {
      const medium = await mediumAt(world, second);
      await looking(world, 2);
      const begun = world.stall.limitsBegun;
      const changing = world.begin("mediumChange", changeOf(medium, "reopen"));
      await world.until(() => world.stall.limitsBegun === begun + 2);
      assert.equal(world.io.listenTcp(world.address, { backlog: 1 }), -Errno.EADDRINUSE);
      const coming = world.attach({ attachment: 1 });
      await world.turns(50);
      world.stall.release();
      assert.equal((await world.run(changing))?.state, "ok");
      assert.equal((await world.run(coming)).kind, "attached");
    }, { fenceAnswerMs: LIMIT_MS }),
);

unitTest(
  "a medium that the system still holds for a moment is opened when it lets go",
  (setting) =>
    withTwoMedia(setting, async (world, [, second]) => {
      const medium = await mediumAt(world, second);
      world.stall.busyOpenings = 3;
      const opened = await world.call("mediumChange", changeOf(medium, "reopen"));
      assert.equal(opened?.state, "ok");
      assert.equal(world.stall.busyOpenings, 0);
      assert.deepEqual(await states(world), ["ok", "ok"]);
    }),
);

unitTest(
  "a medium that was out when the unit started is taken by a reopening",
  (setting) =>
    withOneOut(setting, {
      async run(world, { id, path, bring }) {
        const refused = await mediumAt(world, path);
        assert.deepEqual([...await states(world)].sort(), ["missing", "ok", "refused"]);
        await assert.rejects(
          world.call("mediumChange", changeOf(refused, "reopen")),
          /-b: it is refused: .*does not exist/,
        );
        bring();
        // Twice at once: the first one ends the name by which the second asks.
        const change = changeOf(refused, "reopen");
        const asked = [world.begin("mediumChange", change), world.begin("mediumChange", change)];
        for (const opened of await world.run(Promise.all(asked))) {
          assert.deepEqual([opened?.id, opened?.state], [id, "ok"]);
        }
        assert.deepEqual(await states(world), ["ok", "ok"]);
      },
    }),
);

unitTest(
  "a poisoned medium that was out when the unit started comes back as such, and then by its id",
  (setting) =>
    withOneOut(setting, {
      remembers: (id) => ({ poisonedMedia: { [id]: "a sync failed" } }),
      async run(world, { id, path, bring }) {
        const refused = await mediumAt(world, path);
        bring();
        await assert.rejects(
          world.call("mediumChange", changeOf(refused, "reopen")),
          new RegExp(`is medium ${id} again, and it is poisoned .* a sync failed. .* by that id`),
        );
        const marked = { [id]: "a sync failed" };
        assert.deepEqual(world.poisoned, marked, "nobody has said that it may be used");
        const poisoned = await mediumAt(world, path);
        assert.equal(poisoned.state, "poisoned");
        assert.equal((await world.call("mediumChange", changeOf(poisoned, "reopen")))?.state, "ok");
        assert.deepEqual(world.poisoned, {});
      },
    }),
);
