import assert from "node:assert/strict";
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
