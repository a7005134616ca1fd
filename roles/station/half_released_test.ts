import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

const FULL = "CREATE TRIGGER full BEFORE INSERT ON tombstones " +
  "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";

/** A disk whose release was begun, and cannot end: its host hears of it, or does not. */
async function releaseBegins({ isTold }: { readonly isTold: boolean }) {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  if (isTold) world.spoil(FULL);
  else world.fault = (_, name) => name === "VOLUME_ASSIGNMENT" ? "lose-request" : "deliver";
  await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(2000);
  assert.equal(world.station.api.disks()[0]?.state, "releasing");
  assert.equal(host.assignments.size, isTold ? 0 : 1);
  return { world, unit: unit!, host };
}

for (const isTold of [false, true]) {
  const who = isTold ? "had been told of" : "had not been told of";
  Deno.test(`a release that its host ${who} goes on after its task was lost, once confirmed`, async () => {
    const { world, unit, host } = await releaseBegins({ isTold });
    if (isTold) world.spoil("DROP TRIGGER full");
    await world.station.stop();
    const database = new DatabaseSync(world.path("catalog-1.sqlite"));
    // What is left of a catalog of which the table of tasks could not be read.
    database.exec("DELETE FROM tasks");
    database.close();
    world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
    world.fault = () => "deliver";
    await world.start();
    for (const node of [unit, host]) assert.equal(await world.join(node), null);
    await world.pass(90_000);
    const { api } = world.station;
    const view = api.recovery();
    assert.deepEqual(
      view.differences.map(({ wanted, onConfirm }) => [wanted, onConfirm]),
      [[
        "that it is released",
        "its host is told that it is gone, and its legs are fenced and deleted",
      ]],
    );
    assert.equal(unit.volumes.size, 1, "nothing is taken away before that");
    await api.confirmRecovery(view.list, "ann");
    await world.pass(20_000);
    assert.deepEqual(api.disks(), []);
    assert.equal(unit.volumes.size, 0);
    assert.deepEqual(api.differences(), []);
    await world.end();
  });
}

Deno.test("a release that failed for a full catalog after it had begun goes on when there is room", async () => {
  const { world, unit, host } = await releaseBegins({ isTold: true });
  const { api } = world.station;
  assert.equal(api.disks()[0]?.state, "releasing");
  assert.equal((await api.tasks({ limit: 10 }))[0]?.state, "failed");
  world.spoil("DROP TRIGGER full");
  await world.pass(90_000);
  assert.deepEqual(api.disks(), []);
  assert.deepEqual([host.assignments.size, unit.volumes.size], [0, 0]);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
