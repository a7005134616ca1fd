import assert from "node:assert/strict";
import { DISK_DETACH_WAIT_MS } from "../../protocol/core/limits.ts";
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
  assert.match(api.recovery().reasons.join(), /The catalog is older than this station/);
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

Deno.test("a host has its time to detach also where a unit is away after the station's start", async () => {
  const { world, units: [unit, away], host } = await smallPool([10, 10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  const holds = [unit!, away!].find(({ volumes }) => volumes.size === 1)!;
  await world.station.stop();
  await world.start();
  for (const node of [holds, host]) assert.equal(await world.join(node), null);
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  // It flushes and detaches before it answers.
  world.fault = (_, name) => name === "VOLUME_ASSIGNMENT" ? "lose-answer" : "deliver";
  const told = () => world.sent.filter((line) => line === "VOLUME_ASSIGNMENT h1").length;
  const before = told();
  for (let spentMs = 0; told() === before; spentMs += 500) {
    assert.ok(spentMs < 30_000, "the host is told");
    await world.pass(500);
  }
  await world.pass(DISK_DETACH_WAIT_MS);
  assert.equal([...holds.volumes.values()][0]?.grant?.state, "active");
  world.fault = () => "deliver";
  await world.pass(20_000);
  assert.equal((await world.task(task.id)).state, "done");
  assert.equal(holds.volumes.size, 0);
  await world.end();
});

Deno.test("a host that was there before the units after the station's start is told that its disk is gone", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  world.cut(host);
  await world.task(task.id);
  assert.equal(unit!.volumes.size, 0);
  await world.crash();
  assert.equal(await world.join(host), null);
  await world.pass(2000);
  assert.equal(host.assignments.size, 1, "a unit may come yet that shows that the catalog is old");
  assert.equal(await world.join(unit!), null);
  await world.pass(2000);
  assert.equal(host.assignments.size, 0);
  assert.deepEqual(world.station.api.differences(), []);
  await world.end();
});
