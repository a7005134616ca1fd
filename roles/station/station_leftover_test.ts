import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { FINISH_AGAIN_MS } from "../../protocol/core/limits.ts";
import { order, smallPool } from "./fake_pool_testing.ts";

Deno.test("a disk that could not be taken back, for a full catalog, goes when there is room", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  unit!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("slow", 4));
  await world.pass(1000);
  const fails = (why: string) =>
    world.spoil(
      "CREATE TRIGGER full BEFORE INSERT ON tombstones " +
        `BEGIN SELECT RAISE(ABORT, '${why}'); END`,
    );
  fails("database or disk is full");
  const { api } = world.station;
  await api.cancelTask(task.id);
  const ended = await world.task(task.id);
  assert.match(ended.error?.message ?? "", /./, "its end is told");
  assert.equal(api.disks().length, 1, "it could not be taken back");
  await world.pass(6000);
  const troubles = () => world.logged.filter((line) => line.startsWith("Cannot bring"));
  assert.equal(troubles().length, 1, "once, however often it is tried");
  world.spoil("DROP TRIGGER full");
  fails("disk I/O error");
  await world.pass(6000);
  assert.equal(troubles().length, 2, "and again when it is something else");
  world.spoil("DROP TRIGGER full");
  await world.pass(10_000);
  assert.deepEqual(api.disks(), []);
  assert.equal(unit!.volumes.size, 0);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

/** The room that was promised to a new disk was taken while the catalog was not certain. */
async function promisedInVain(
  refusal = new DvsanError("no-space", "No room on this unit."),
) {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.station.stop();
  world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
  await world.start();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  unit!.refuse.set("VOLUME_CREATE", refusal);
  const { api } = world.station;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("late", 4));
  assert.match(
    (await world.task(task.id)).error?.message ?? "",
    /made to its end once an operator/,
  );
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(6000);
  const failed = (await api.tasks({ limit: 10 })).find(({ state, title }) =>
    state === "failed" && title.startsWith('Finish disk "late"')
  );
  return { world, unit: unit!, host, told: failed?.error?.message ?? "" };
}

Deno.test("a disk whose promised room is gone is released, as its task tells an operator", async () => {
  const { world, unit, told } = await promisedInVain();
  const { api } = world.station;
  assert.match(
    told,
    /No room on this unit.*made as soon as there is room.*wanted any more, release/,
  );
  assert.deepEqual(api.disks().map(({ state }) => state), ["creating"], "nothing goes by itself");
  const release = await api.releaseDisk("late", "admin");
  assert.equal((await world.task(release.id)).state, "done");
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(api.disks(), []);
  assert.deepEqual(api.differences(), []);
  assert.equal(unit.volumes.size, 0);
  await world.end();
});

Deno.test("a disk whose unit has lost its last medium is told in the same way, and released", async () => {
  const refusal = new DvsanError("io", "This unit has no medium that can be written to.");
  const { world, told } = await promisedInVain(refusal);
  const { api } = world.station;
  assert.match(
    told,
    /no medium that can be written.*made as soon as there is room.*wanted any more, release/,
  );
  const release = await api.releaseDisk("late", "admin");
  assert.equal((await world.task(release.id)).state, "done");
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(api.disks(), []);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a disk whose promised room is gone is made once there is room", async () => {
  const { world, unit, host } = await promisedInVain();
  unit.refuse.clear();
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(world.station.api.disks().map(({ state }) => state), ["ready"]);
  assert.equal([...host.assignments.values()][0]?.name, "late");
  assert.deepEqual(world.station.api.differences(), []);
  await world.end();
});

Deno.test("a disk of which another station made the first leg alone tells its way out, and goes by it", async () => {
  const { world, units: [unit, other], host } = await smallPool([10, 20]);
  const { api } = world.station;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  const [made] = unit!.volumes.values();
  const id = "22222222-2222-4222-8222-222222222222";
  const leg = { ...made!.leg, diskId: id, diskName: "half", legs: 2 };
  unit!.volumes.set(id, { ...made!, id, number: 9, leg, grant: null });
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  await world.pass(6000);
  if (api.pool().state === "recovered") await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(60_000);
  const [difference] = api.differences();
  assert.match(difference!.held, /uncertain: leg 1 of 2 was not seen yet/);
  assert.match(
    difference!.waits!,
    /never granted, so nothing is in it: .* wanted any more, release/,
  );
  assert.equal(other!.volumes.size, 0);
  assert.equal((await world.task((await api.releaseDisk("half", "ann")).id)).state, "done");
  await world.pass(6000);
  assert.deepEqual(api.differences(), []);
  assert.deepEqual([...unit!.volumes.keys()], [made!.id]);
  await world.end();
});

Deno.test("a disk of which a later leg was never granted is not said to be empty", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  const { api } = world.station;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  const [made] = unit!.volumes.values();
  const id = "22222222-2222-4222-8222-222222222222";
  const leg = { ...made!.leg, diskId: id, diskName: "grown", leg: 1, legs: 2 };
  unit!.volumes.set(id, { ...made!, id, number: 9, leg, grant: null });
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  await world.pass(6000);
  const [difference] = api.differences();
  assert.match(difference!.held, /uncertain: leg 0 of 2 was not seen yet/);
  assert.equal(difference!.waits, "the units that hold its legs, or its host");
  await world.end();
});
