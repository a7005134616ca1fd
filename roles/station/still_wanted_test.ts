import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeNode, FakeWorld } from "./fake_world_testing.ts";

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
  Deno.test(`a queued ${what} of an older catalog takes no disk from its host: it may have been cancelled`, async () => {
    const { world, units, host, queued, used } = await restoredWithQueued(what);
    for (const node of [...units, host]) await world.join(node);
    const ended = await world.task(queued.id);
    assert.equal(ended.state, "cancelled");
    assert.match(ended.error!.message, /had not begun.* Ask for it again/);
    await world.pass(6000);
    assert.deepEqual(host.assignments.get(DISK)?.state, used.state);
    assert.equal(units[0]!.volumes.size, 1);
    await world.end();
  });

  Deno.test(`a queued ${what} of which no unit can show that it was cancelled is asked for again`, async () => {
    const { world, units: [unit], host } = await smallPool([10]);
    await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
    unit!.zeroed = false;
    const grow = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
    await world.pass(1000);
    const { task } = what === "release"
      ? await world.ask(host, "DISK_RELEASE", { diskId: DISK })
      : await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
    const backup = await stopAndCopy(world);
    await world.start();
    for (const node of [unit!, host]) await world.join(node);
    await world.station.api.cancelTask(task.id);
    await world.station.stop();
    restore(world, backup);
    for (const node of [unit!, host]) world.cut(node);
    await world.start();
    for (const node of [unit!, host]) await world.join(node);
    unit!.zeroed = true;
    unit!.finishZeroing();
    await world.task(grow.task.id);
    assert.equal((await world.task(task.id)).state, "cancelled");
    assert.equal([...unit!.volumes.values()][0]!.grant?.direct, undefined);
    assert.equal(host.assignments.get(DISK)?.state, "attached");
    await world.end();
  });
}

Deno.test("a release that was begun goes on after a restart", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  unit!.refuse.set("ACCESS_REVOKE", new DvsanError("fencing", "it waits for writes."));
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(1000);
  assert.equal(unit!.volumes.size, 1);
  await world.crash();
  unit!.refuse.delete("ACCESS_REVOKE");
  for (const node of [unit!, host]) await world.join(node);
  assert.equal((await world.task(task.id)).state, "done");
  assert.deepEqual([unit!.volumes.size, host.assignments.size], [0, 0]);
  await world.end();
});

/** The catalog of a moment in which the task was asked for and had not begun is put back. */
async function restoredBefore(
  world: FakeWorld,
  nodes: readonly FakeNode[],
  ask: () => Promise<{ readonly id: string }>,
): Promise<string> {
  const { id } = await ask();
  const backup = await stopAndCopy(world);
  await world.start();
  await world.task(id);
  await world.station.stop();
  restore(world, backup);
  for (const node of nodes) world.cut(node);
  await world.start();
  for (const node of nodes) await world.join(node);
  return id;
}

Deno.test("a queued revocation of an older catalog revokes nobody: it may have been cancelled", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const nodes = [unit!, host];
  const { api } = world.station;
  const revoke = api.revokeNode.bind(api);
  const id = await restoredBefore(world, nodes, () => revoke("h1", "ann"));
  const ended = await world.task(id);
  assert.equal(ended.state, "cancelled");
  assert.match(ended.error!.message, /revoke host "h1": .* Ask for it again/);
  assert.equal(world.station.api.hosts()[0]!.state, "online");
  assert.equal([...unit!.volumes.values()][0]!.grant?.state, "active");
  await world.end();
});

for (const action of ["adopt", "forget", "reopen"] as const) {
  Deno.test(`an older catalog does not ${action} a medium unasked, which it had not begun`, async () => {
    const { world, units: [unit] } = await smallPool([10]);
    const state = { adopt: "foreign", forget: "missing", reopen: "poisoned" }[action];
    const id = "99999999-9999-4999-8999-999999999999";
    const { info } = unit!;
    unit!.info = function () {
      const told = info.call(this);
      const medium = { ...told.media[0]!, id, path: "/x", state, reason: "so it is" } as MediumInfo;
      return { ...told, media: [...told.media, medium] };
    };
    unit!.revision++;
    await world.heartbeat(unit!, String(unit!.revision));
    const change = { action, yes: true };
    const taskId = await restoredBefore(
      world,
      [unit!],
      () => world.station.api.changeMedium({ unit: "u1", medium: id }, change, "ann"),
    );
    world.sent.length = 0;
    const ended = await world.task(taskId);
    assert.equal(ended.state, "cancelled");
    assert.match(ended.error!.message, /medium 9999.* of unit "u1": .* Ask for it again/);
    assert.ok(!world.sent.includes("MEDIUM_CHANGE u1"));
    await world.end();
  });
}
