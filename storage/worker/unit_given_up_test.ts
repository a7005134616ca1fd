import assert from "node:assert/strict";
import { MIB } from "../../protocol/core/limits.ts";
import { testOn } from "../../test/needs.ts";
import { grantOf, STATION, UnitWorld } from "./testing_world.ts";

/** A unit's process with these two files, until it ends. */
async function started(
  paths: readonly string[],
  start: { knownSequences?: Record<string, number>; forgottenMedia?: readonly string[] },
) {
  const world = new UnitWorld({ kind: "epoll", path: paths[0]! });
  await world.start({ media: paths.map((path) => ({ path, wipe: "no" as const })), ...start });
  const info = () => world.call("storageInfo", null);
  const change = async (mediumId: string, action: "adopt" | "forget") => {
    const { media } = await info();
    const expectedSequence = media.find(({ id }) => id === mediumId)!.sequence;
    await world.call("mediumChange", { station: STATION, mediumId, action, expectedSequence });
  };
  const end = async () => {
    const { media } = await info();
    await world.drain();
    world.destroy();
    return Object.fromEntries(media.map(({ id, sequence }) => [id, sequence]));
  };
  return { world, info, change, end };
}

testOn("epoll")(
  "a host comes in by a new grant once a medium is adopted that was given up, and by none of before",
  async () => {
    const directory = Deno.makeTempDirSync();
    const paths = ["a", "b"].map((name) => `${directory}/${name}`);
    for (const path of paths) {
      Deno.writeFileSync(path, new Uint8Array());
      Deno.truncateSync(path, 64 * MIB);
    }
    const first = await started(paths, {});
    const created = await first.world.volume(80 * MIB);
    await first.world.call("accessGrant", grantOf(created, { counter: 1 }));
    await first.world.idle();
    const gone = (await first.info()).media.find(({ path }) => path === paths[1])!.id;
    await (await first.world.attached({ attachment: 1 })).leave();
    let knownSequences = await first.end();
    Deno.renameSync(paths[1]!, `${directory}/out`);
    const without = await started(paths, { knownSequences });
    await without.change(gone, "forget");
    assert.equal((await without.info()).volumes[0]!.grant!.state, "fenced");
    knownSequences = { ...knownSequences, ...await without.end() };
    Deno.renameSync(`${directory}/out`, paths[1]!);
    const { world, info, change } = await started(paths, {
      knownSequences,
      forgottenMedia: [gone],
    });
    await change(gone, "adopt");
    const [volume] = (await info()).volumes;
    assert.deepEqual([volume!.state, volume!.grant!.state], ["ready", "fenced"]);
    assert.equal(await world.refusal({ attachment: 2 }), "fenced");
    await world.call("accessGrant", grantOf(volume!, { counter: 2 }));
    await (await world.attached({ attachment: 3, counter: 2 })).leave();
    world.destroy();
    Deno.removeSync(directory, { recursive: true });
  },
);
