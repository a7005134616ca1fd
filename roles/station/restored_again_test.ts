import assert from "node:assert/strict";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

Deno.test("a disk that was brought back by a restore is not deleted by the catalog in which it was released", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  const before = await stopAndCopy(world);
  // It is released while its unit is away, and the station is started a few times more.
  await world.start();
  await world.join(host);
  await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(60_000);
  let released = await stopAndCopy(world);
  for (let start = 0; start < 3; start++) {
    await world.start();
    released = await stopAndCopy(world);
  }
  restore(world, before);
  await world.start();
  for (const node of [unit!, host]) await world.join(node);
  await world.pass(6000);
  assert.equal(world.station.api.pool().state, "normal", "nothing shows that it was released");
  assert.equal(world.station.api.disks()[0]!.state, "ready");
  const { sequence } = [...unit!.volumes.values()][0]!;
  await world.pass(60_000);
  assert.equal([...unit!.volumes.values()][0]!.sequence, sequence, "it is told once");
  await world.station.stop();
  restore(world, released);
  await world.start();
  for (const node of [unit!, host]) await world.join(node);
  await world.pass(60_000);
  const { api } = world.station;
  assert.equal(unit!.volumes.size, 1);
  assert.equal([...unit!.volumes.values()][0]!.grant?.state, "active");
  assert.equal(api.pool().state, "recovered");
  assert.match(api.recovery().reasons.join(), /of which this catalog knows nothing/);
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(6000);
  assert.equal(unit!.volumes.size, 0, "who confirms the list means it");
  await world.crash();
  await world.join(unit!);
  await world.pass(6000);
  assert.equal(world.station.api.pool().state, "normal", "what was confirmed is not asked again");
  await world.end();
});
