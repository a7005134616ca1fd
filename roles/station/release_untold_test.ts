import assert from "node:assert/strict";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

Deno.test("in recovered state no host is told that its disk is gone: an operator is shown it first", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  for (const node of [unit!, host]) world.cut(node);
  await world.task(task.id);
  await world.station.stop();
  world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
  await world.start();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.heartbeat(host, "other");
  await world.pass(30_000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.equal(host.assignments.get(DISK)?.state, "attached");
  assert.equal(unit!.volumes.size, 1);
  const view = api.recovery();
  const [shown] = view.differences.filter(({ kind }) => kind === "disk");
  assert.equal(shown?.onConfirm, "its host is told that it is gone");
  await api.confirmRecovery(view.list, "ann");
  await world.pass(5000);
  assert.deepEqual([host.assignments.size, unit!.volumes.size], [0, 0]);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
