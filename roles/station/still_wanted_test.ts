import assert from "node:assert/strict";
import { GIB } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

/**
 * A station whose catalog is of a time when a change of disk "db" waited for its turn. That was
 * cancelled since, the disk was grown, and its host uses it.
 */
async function restoredWithQueued(what: "release" | "access") {
  const { world, units, host } = await smallPool([10, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  units[0]!.zeroed = false;
  const grow = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
  await world.pass(1000);
  const queued = what === "release"
    ? (await world.ask(host, "DISK_RELEASE", { diskId: DISK })).task
    : (await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true })).task;
  await world.pass(1000);
  assert.equal((await world.station.api.task(queued.id)).state, "queued");
  const backup = await stopAndCopy(world);
  await world.start();
  for (const node of [...units, host]) await world.join(node);
  await world.station.api.cancelTask(queued.id);
  units[0]!.zeroed = true;
  units[0]!.finishZeroing();
  assert.equal((await world.task(grow.task.id)).state, "done");
  await world.pass(2000);
  const used = structuredClone(host.assignments.get(DISK)!);
  assert.deepEqual([used.state, used.sizeBytes], ["attached", 6 * GIB]);
  await world.station.stop();
  restore(world, backup);
  for (const node of [...units, host]) world.cut(node);
  await world.start();
  return { world, units, host, queued, used };
}

for (const what of ["release", "access"] as const) {
  Deno.test(`a queued ${what} of an older catalog takes no disk from its host before units came`, async () => {
    const { world, units, host, queued, used } = await restoredWithQueued(what);
    await world.join(host);
    const ended = await world.task(queued.id);
    assert.equal(ended.state, "failed");
    assert.match(ended.error!.message, /"u1" did not come back .* Ask for it again/);
    assert.deepEqual(host.assignments.get(DISK), used);
    for (const unit of units) await world.join(unit);
    await world.pass(6000);
    assert.equal(host.assignments.get(DISK)?.state, "attached");
    assert.equal(units[0]!.volumes.size, 1);
    await world.end();
  });

  Deno.test(`a queued ${what} of a catalog that a unit shows to be old is not done`, async () => {
    const { world, units, host, queued } = await restoredWithQueued(what);
    for (const node of [...units, host]) await world.join(node);
    const ended = await world.task(queued.id);
    assert.equal(world.station.api.pool().state, "recovered");
    assert.equal(ended.state, "failed");
    assert.match(ended.error!.message, /recovered state/);
    assert.equal(host.assignments.get(DISK)?.state, "attached");
    await world.end();
  });
}

Deno.test("a release that waits for its turn is done after a restart", async () => {
  const { world, units, host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  units[0]!.zeroed = false;
  await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
  await world.pass(1000);
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.crash();
  units[0]!.zeroed = true;
  units[0]!.finishZeroing();
  for (const node of [...units, host]) await world.join(node);
  assert.equal((await world.task(task.id)).state, "done");
  assert.deepEqual([units[0]!.volumes.size, host.assignments.size], [0, 0]);
  await world.end();
});
