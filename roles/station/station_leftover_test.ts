import assert from "node:assert/strict";
import { order, smallPool } from "./fake_pool_testing.ts";

Deno.test("a disk that could not be taken back, for a full catalog, goes when there is room", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  unit!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("slow", 4));
  await world.pass(1000);
  world.spoil(
    "CREATE TRIGGER full BEFORE INSERT ON tombstones " +
      "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
  );
  const { api } = world.station;
  await api.cancelTask(task.id);
  const ended = await world.task(task.id);
  assert.match(ended.error?.message ?? "", /./, "its end is told");
  assert.equal(api.disks().length, 1, "it could not be taken back");
  await world.pass(6000);
  world.spoil("DROP TRIGGER full");
  await world.pass(10_000);
  assert.deepEqual(api.disks(), []);
  assert.equal(unit!.volumes.size, 0);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
