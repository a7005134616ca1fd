import assert from "node:assert/strict";
import { decodeCopy } from "../../protocol/label/codec.ts";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import { LABEL_REGION_BYTES, MIB } from "../../protocol/core/limits.ts";
import { labelsOf } from "./agreement/labels.ts";
import { banGlobals } from "./core/bans.ts";
import { Simulation } from "./core/simulation.ts";
import { stateOf } from "./machines/cluster.ts";
import { copy, rollback, swap } from "./faults/media_moves.ts";
import { spoilCatalog } from "./faults/station.ts";
import { askStation } from "./operators/api.ts";
import { type Plan, planOf } from "./scenario/plan.ts";
import { Scene } from "./scenario/scene.ts";
import { agree } from "./scenario/settle.ts";
import { killedInFence } from "./stories/fences.ts";
import { isDataWrite, pass, passTime, reach, shown, STORY_PLAN } from "./stories/story.ts";

/** Taken before Deno is banned. */
const { makeTempDirSync, removeSync } = Deno;

/** What the simulator found once, played again without chance. */
async function play(
  name: string,
  run: (scene: Scene) => Promise<void>,
  plan: Partial<Plan> = {},
): Promise<void> {
  const sim = new Simulation({ seed: 1, keepTrace: false });
  const directory = makeTempDirSync({ prefix: "dvsan-sim-" });
  const allow = banGlobals();
  try {
    const scene = new Scene(
      sim,
      { ...planOf(1), units: 1, hosts: 1, faults: [], ...plan },
      directory,
    );
    try {
      await scene.begin();
      await run(scene);
      assert.equal(sim.violation, null, name);
    } finally {
      for (const role of scene.roles) role.end("power");
    }
  } finally {
    allow();
    removeSync(directory, { recursive: true });
  }
}

Deno.test("a unit remembers the label that its restart wrote, so that an older one is known", async () => {
  await play("restart", async ({ sim, world, units: [unit] }) => {
    const { role, plan } = unit!;
    const path = plan.devices[0]!;
    const label = () => {
      const region = new Uint8Array(LABEL_REGION_BYTES);
      world.kernel.media.get(path)!.read(region, 0);
      const decoded = decodeCopy(region, "A");
      assert.ok("label" in decoded);
      return decoded.label;
    };
    await sim.run({ until: () => false, steps: 500 });
    const before = label().sequence;
    role.end("killed");
    await sim.run({ until: () => role.isReady, steps: 5000 });
    await sim.run({ until: () => false, steps: 500 });
    const { sequence, mediumId } = label();
    assert.ok(sequence > before);
    const file = role.machine.files.get(`${stateOf(role.machine)}/label-sequences.json`)!;
    assert.equal(JSON.parse(new TextDecoder().decode(file))[mediumId], sequence);
  });
});

Deno.test("copies of media do not change places: taken away, they would take a medium along", async () => {
  await play("copies", async (scene) => {
    const { sim, world, units } = scene;
    const own = units.flatMap(({ plan }) => [...plan.devices]);
    for (let i = 0; i < 3; i++) {
      copy(scene);
      await sim.run({ until: () => false, steps: 1 });
    }
    for (let i = 0; i < 50; i++) swap(scene);
    await sim.run({ until: () => false, steps: 10 });
    assert.ok(scene.copies.size > 0 && scene.heals.size > scene.copies.size, "both have struck");
    for (const heal of [...scene.heals]) heal();
    assert.deepEqual([...scene.copies], []);
    assert.deepEqual([...world.kernel.media.keys()].sort(), own.sort());
  }, { units: 3, mediaPerUnit: 2 });
});

Deno.test("machines write back what they hold of media that change places", async () => {
  await play("written back", (scene) => {
    const { sim, world, units, heals } = scene;
    // Behind a label, where no unit zeroes anything.
    const position = LABEL_REGION_BYTES / 2;
    const held = units.map(({ plan: { devices: [path] } }) => world.kernel.media.get(path!)!);
    for (const medium of held) medium.write(utf8(medium.path), position);
    swap(scene);
    assert.equal(heals.size, 1, "it has struck");
    const durable = held.map((medium) => {
      const bytes = new Uint8Array(utf8("/unit1/a.img").length);
      medium.readDurable(bytes, position);
      return fromUtf8(bytes);
    });
    assert.deepEqual(durable, ["/unit1/a.img", "/unit2/a.img"]);
    assert.equal(sim.violation, null);
    return Promise.resolve();
  }, { units: 2, mediaPerUnit: 1 });
});

Deno.test("a snapshot that no label tells from what came after is not put back", async () => {
  await play("snapshots", async (scene) => {
    const { sim, world, heals, movedMedia } = scene;
    const ends = () => heals.size > 0 || movedMedia.size === 0;
    world.kernel.faults.writeError = 1;
    rollback(scene);
    assert.equal(movedMedia.size, 1);
    await sim.run({ until: ends, steps: 5000 });
    assert.equal(heals.size, 0, "the unit's start could not write its label");
    assert.equal(movedMedia.size, 0);

    world.kernel.faults.writeError = 0;
    rollback(scene);
    await sim.run({ until: ends, steps: 5000 });
    assert.equal(heals.size, 1, "it could, and the older label is known by that");
    for (const heal of [...heals]) heal();
  });
});

Deno.test("a fence that a unit was killed in, before its label said so, is told to be open and done again", async () => {
  await play("killed in a fence", async (scene) => {
    await pass(scene, 2000);
    await killedInFence(scene);
  }, { ...STORY_PLAN, hosts: 2, inMemoryShare: 0 });
});

Deno.test("a release that had not begun when its station was killed is asked for again", async () => {
  await play("released again", async (scene) => {
    const { users, station, world: { kernel } } = scene;
    await pass(scene, 2000);
    const disk = users.request({ sizeBytes: 2 * MIB })!;
    await reach(scene, "a disk is used", () => disk.workload.sizeBytes > 0);
    // The growth waits for a label, and the release for the growth.
    kernel.mediaFault = (call) =>
      call.kind === "write" && !isDataWrite(scene, call) ? "hold" : "ok";
    users.grow(disk, { sizeBytes: 8 * MIB });
    await passTime(scene, 1000);
    users.forget(disk);
    void askStation(station, { method: "DELETE", path: "/disks/host1%2Fd1" })
      .then(() => disk.isGone = true);
    await reach(scene, "an operator was told that it is done", () => disk.isGone);
    station.end("killed");
    kernel.mediaFault = () => "ok";
    kernel.releaseHeld();
    await agree(scene);
    assert.deepEqual(scene.shown?.disks, []);
    assert.ok(scene.shown?.tasks.some(({ state }) => state === "cancelled"), "it was cut off");
  }, STORY_PLAN);
});

Deno.test("a device whose label is gone is used again once its medium was given up", async () => {
  await play("blank", async (scene) => {
    const { world, units: [unit] } = scene;
    const path = unit!.plan.devices[0]!;
    await pass(scene, 2000);
    assert.equal(labelsOf(scene).length, 1);
    unit!.role.end("killed");
    const medium = world.kernel.media.get(path)!;
    medium.restore({ sizeBytes: medium.sizeBytes, pieces: new Map() });
    scene.hasWiped = true;
    await agree(scene);
    assert.equal(labelsOf(scene).length, 1);
    assert.deepEqual(scene.shown?.units[0]?.media.map(({ state }) => state), ["ok"]);
  }, STORY_PLAN);
});

/** One bit of the station's first event is another one, which no page and no index shows. */
function flipBitOfEvent(bytes: Uint8Array): Uint8Array {
  const words = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  const at = words.indexOf('The station "station" started');
  assert.ok(at > 0, "the file has the event");
  return bytes.map((byte, index) => index === at ? byte ^ 0x20 : byte);
}

Deno.test("an event of which a bit flipped is left out by an operator, and nothing else is", async () => {
  await play("spoilt event", async (scene) => {
    const { sim, station } = scene;
    const said: string[] = [];
    const say = sim.say.bind(sim);
    sim.say = (text) => {
      said.push(text);
      say(text);
    };
    await pass(scene, 2000);
    station.end("killed");
    spoilCatalog(scene, flipBitOfEvent);
    await agree(scene);
    assert.ok(said.includes("no agreement: the catalog: events 1: its checksum is wrong"));
    assert.ok(said.includes("the operator did it: repair the catalog"));
    // Where no fault has spoilt the file, what is wrong in it is the station's own doing.
    const spoilt = "events 1: its checksum is wrong";
    const other = "disks 1: is not what was written";
    for (const [isSpoilt, findings] of [[false, [spoilt]], [true, [spoilt, other]]] as const) {
      await passTime(scene, 30_000);
      said.length = 0;
      scene.hasSpoiltCatalog = isSpoilt;
      scene.operator.repair(findings);
      assert.deepEqual(said, []);
    }
  }, STORY_PLAN);
});

Deno.test("a unit whose whole machine was put back is told of until an operator takes it as it is", async () => {
  await play("put back", async (scene) => {
    const { users, station, world: { kernel }, units: [unit] } = scene;
    await pass(scene, 2000);
    const disk = users.request({ sizeBytes: 4 * MIB })!;
    await reach(scene, "a disk is made", () => disk.state === "made");
    await agree(scene);
    const { role, plan } = unit!;
    const { machine } = role;
    const medium = kernel.media.get(plan.devices[0]!)!;
    machine.cutPower();
    const [files, image] = [new Map(machine.files), medium.image()];
    // What nobody used since can be put back without a loss.
    users.pause(true);
    for (let i = 0; i < 3; i++) {
      machine.switchOn();
      await reach(scene, "it is back", () => role.isReady);
      await passTime(scene, 3000);
      machine.cutPower();
    }
    machine.files.clear();
    for (const [name, bytes] of files) machine.files.set(name, bytes);
    medium.restore(image);
    machine.switchOn();
    await reach(scene, "it is back", () => role.isReady);
    await passTime(scene, 10_000);
    const told = async () => (await shown(scene)).differing;
    const [older, ...more] = await told();
    assert.match(older?.held ?? "", /^older: its label has not come of the one that it had last/);
    assert.deepEqual(more, []);
    const [found] = (await shown(scene)).units[0]!.media;
    const path = `/units/${unit!.plan.name}/media/${found!.id}`;
    void askStation(station, { method: "POST", path, body: { action: "adopt", yes: true } });
    await passTime(scene, 30_000);
    assert.deepEqual(await told(), []);
    users.pause(false);
    await agree(scene);
    role.end("killed");
    await agree(scene);
  }, STORY_PLAN);
});
