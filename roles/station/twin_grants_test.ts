import assert from "node:assert/strict";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeWorld } from "./fake_world_testing.ts";

/**
 * Two stations on copies of one catalog run under one epoch, and both switch the access of a disk:
 * both give the same generation, to others. The unit has obeyed the first one.
 */
async function givenTwice(direct: { first: boolean; second: boolean }) {
  const { world, units, host } = await smallPool([10]);
  const [unit] = units;
  const made = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.task(made.task.id);
  const switchTo = async (isDirect: boolean) =>
    (await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: isDirect })).task.id;
  const grant = () => [...unit!.volumes.values()][0]!.grant!;
  const backup = await stopAndCopy(world);
  await world.start();
  for (const node of [unit!, host]) await world.join(node);
  await world.task(await switchTo(direct.first));
  const first = grant();
  await world.station.stop();
  restore(world, backup);
  await world.start();
  await world.join(host);
  const task = await switchTo(direct.second);
  await world.pass(100);
  await world.join(unit!);
  const { state, error } = await world.task(task);
  assert.equal(state, "failed");
  assert.match(error?.message ?? "", /granted by another station meanwhile, and that stands/);
  assert.deepEqual(grant(), first);
  assert.match(world.station.api.health().problems.join(), /obeyed another station/);
  await confirmAll(world);
  return { world, host, grant, switchTo };
}

async function confirmAll(world: FakeWorld): Promise<void> {
  const { api } = world.station;
  await world.pass(6000);
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(6000);
  assert.deepEqual([api.pool().state, api.differences()], ["normal", []]);
}

Deno.test("a generation that two stations gave is the one that the unit took", async () => {
  const { world, host, grant, switchTo } = await givenTwice({ first: true, second: false });
  assert.equal(host.assignments.get(DISK)!.state, "direct", "as its unit lets nobody else in");
  const { state } = await world.task(await switchTo(false));
  assert.equal(state, "done");
  assert.equal(host.assignments.get(DISK)!.state, "attached");
  assert.equal(grant().direct, undefined);
  await world.end();
});

Deno.test("tokens that no unit ever took are not told as good ones", async () => {
  const { world, host, switchTo } = await givenTwice({ first: true, second: true });
  assert.equal(host.assignments.get(DISK)!.state, "direct");
  assert.equal((await world.task(await switchTo(true))).state, "done");
  await world.end();
});
