import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB } from "../../protocol/core/limits.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import { FakeUnit } from "./fake_unit_testing.ts";
import { FakeHost } from "./fake_world_testing.ts";

Deno.test("a host's request becomes a granted volume and an assignment", async () => {
  const { world, units, host } = await smallPool();
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  const ended = await world.task(task.id);
  assert.equal(ended.state, "done", ended.step);
  const assignment = host.assignments.get(DISK)!;
  assert.equal(assignment.sizeBytes, 4 * GIB);
  assert.equal(assignment.legs.length, 1);
  assert.equal(assignment.legs[0]!.unitName, "u1");
  assert.equal([...units[0]!.volumes.values()][0]!.grant?.hostId, host.id);
  assert.equal(world.station.api.disks()[0]!.state, "ready");
  const events = await world.station.api.events({ after: 0, limit: 100 });
  assert.deepEqual(events.map((event) => event.number), events.map((_, index) => index + 1));
  assert.ok(events.some((event) => event.kind === "disk.created"));
  await world.end();
});

Deno.test("a repeated request is the same request, also after the station's restart", async () => {
  const { world, units, host } = await smallPool();
  const [first, second] = await Promise.all([
    world.ask(host, "STORAGE_REQUEST", order("db", 4)),
    world.ask(host, "STORAGE_REQUEST", order("db", 4)),
  ]);
  assert.equal(first.task.id, second.task.id);
  await world.task(first.task.id);
  await world.crash();
  for (const node of [...units, host]) await world.join(node);
  const third = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal(third.task.id, first.task.id);
  assert.equal(third.task.state, "done");
  assert.equal(units[0]!.volumes.size, 1);
  await world.end();
});

Deno.test("a lost answer of a unit makes no second volume", async () => {
  const { world, units, host } = await smallPool();
  const lost = new Set<string>();
  world.fault = (_node, name) => {
    if (lost.has(name)) return "deliver";
    lost.add(name);
    return "lose-answer";
  };
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  assert.equal(units[0]!.volumes.size + units[1]!.volumes.size, 1);
  assert.equal(host.assignments.size, 1);
  await world.end();
});

Deno.test("a unit that refuses for good has the other legs taken back", async () => {
  const { world, units, host } = await smallPool([10, 10]);
  const refusal = new DvsanError("io", "the medium failed");
  units[1]!.refuse.set("ACCESS_GRANT", refusal);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("big", 15));
  const ended = await world.task(task.id);
  assert.equal(ended.state, "failed");
  assert.match(ended.error!.message, /"u[12]" refused: the medium failed/);
  await world.pass(2000);
  assert.equal(units[0]!.volumes.size, 0);
  assert.equal(units[1]!.volumes.size, 0);
  assert.equal(host.assignments.size, 0);
  assert.deepEqual(world.station.api.disks(), []);
  await world.end();
});

Deno.test("a full pool is refused with the reason for every unit, and nothing is kept", async () => {
  const { world, host } = await smallPool([2, 3]);
  await world.join(new FakeUnit("s1", { seed: 9, gib: 50, spare: true }));
  await assert.rejects(world.ask(host, "STORAGE_REQUEST", order("big", 8)), (error) => {
    assert.ok(error instanceof DvsanError);
    assert.equal(error.code, "no-space");
    assert.match(error.message, /"s1" spare.*"u1" has 1\.9 GiB free, 8 GiB needed/);
    return true;
  });
  assert.deepEqual(world.station.api.disks(), []);
  await world.end();
});

Deno.test("two requests that race for the same space: one gets it, the other the reasons", async () => {
  const { world, units, host } = await smallPool([10]);
  const other = DISK.replace("1111-1111", "2222-2222");
  const both = await Promise.allSettled([
    world.ask(host, "STORAGE_REQUEST", order("a", 6)),
    world.ask(host, "STORAGE_REQUEST", order("b", 6, other)),
  ]);
  assert.deepEqual(both.map((each) => each.status), ["fulfilled", "rejected"]);
  await world.pass(1000);
  assert.equal(units[0]!.volumes.size, 1);
  await world.end();
});

Deno.test("a disk waits for zeroing, with progress", async () => {
  const { world, units, host } = await smallPool([10]);
  units[0]!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.pass(2000);
  const waiting = await world.station.api.task(task.id);
  assert.equal(waiting.state, "running");
  assert.match(waiting.step, /is being zeroed: 1 MiB of 4 GiB/);
  assert.equal(host.assignments.size, 0);
  units[0]!.finishZeroing();
  assert.equal((await world.task(task.id)).state, "done");
  await world.end();
});

Deno.test("a host cannot touch or see what is another's", async () => {
  const { world, host } = await smallPool();
  const thief = new FakeHost("h2", 78);
  await world.join(thief);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.task(task.id);
  const asDenied = (code: string) => (error: unknown) =>
    error instanceof DvsanError && error.code === code;
  const notFound = asDenied("not-found");
  const grow = async () =>
    await world.ask(thief, "DISK_GROW", { diskId: DISK, sizeBytes: 8 * GIB });
  await assert.rejects(grow, notFound);
  await assert.rejects(
    async () => await world.ask(thief, "DISK_RELEASE", { diskId: DISK }),
    notFound,
  );
  const access = { diskId: DISK, direct: true };
  await assert.rejects(async () => await world.ask(thief, "DISK_ACCESS", access), notFound);
  await assert.rejects(
    async () => await world.ask(thief, "TASK_QUERY", { taskId: task.id }),
    notFound,
  );
  await assert.rejects(
    async () => await world.ask(thief, "STORAGE_REQUEST", order("db", 4)),
    asDenied("denied"),
  );
  await world.end();
});

Deno.test("grow extends the last leg, then appends one, and publishes what is granted", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.task(task.id);
  const within = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 8 * GIB });
  assert.equal((await world.task(within.task.id)).state, "done");
  const generation = host.assignments.get(DISK)!.legs[0]!.generation;
  const beyond = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 16 * GIB });
  assert.equal((await world.task(beyond.task.id)).state, "done");
  const assignment = host.assignments.get(DISK)!;
  assert.equal(assignment.sizeBytes, 16 * GIB);
  assert.deepEqual(assignment.legs.map((leg) => leg.sizeBytes), [8 * GIB, 8 * GIB]);
  assert.deepEqual(assignment.legs[0]!.generation, generation);
  assert.deepEqual([...units[0]!.granted.values()], [8 * GIB]);
  assert.equal(units[1]!.volumes.size, 1);
  await world.end();
});

Deno.test("release detaches the host, fences and deletes", async () => {
  const { world, units, host } = await smallPool();
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  world.sent.length = 0;
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  assert.equal((await world.task(task.id)).state, "done");
  assert.deepEqual(world.sent.slice(0, 3), [
    "VOLUME_ASSIGNMENT h1",
    "ACCESS_REVOKE u1",
    "VOLUME_DELETE u1",
  ]);
  assert.equal(units[0]!.volumes.size, 0);
  assert.equal(host.assignments.size, 0);
  await world.heartbeat(host, host.digest);
  assert.deepEqual(world.station.api.disks(), []);
  await world.end();
});

Deno.test("release with host and unit away ends with debt, which is done at their return", async () => {
  const { world, units, host } = await smallPool();
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  world.cut(host);
  world.cut(units[0]!);
  const task = await world.station.api.releaseDisk("db", "admin");
  const ended = await world.task(task.id);
  assert.equal(ended.state, "done");
  assert.ok(ended.log.some(({ text }) => /"u1" cannot be reached/.test(text)));
  assert.match(world.station.api.volumes()[0]!.difference!, /is to be deleted.*silent/);
  await world.join(units[0]!);
  await world.join(host);
  await world.pass(2000);
  assert.equal(units[0]!.volumes.size, 0);
  assert.equal(host.assignments.size, 0);
  await world.end();
});

Deno.test("direct access gives tokens of a new generation, and the agent gets it back", async () => {
  const { world, units, host } = await smallPool();
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const { task } = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
  await world.task(task.id);
  const { uris } = await world.ask(host, "TASK_QUERY", { taskId: task.id });
  const token = /^nbd:\/\/192\.0\.2\.7:10809\/([0-9a-f]{48})$/.exec(uris![0]!)![1]!;
  const grant = [...units[0]!.volumes.values()][0]!.grant!;
  assert.deepEqual(grant.direct!.tokenHash, Uint8Array.from(sha256(token)));
  assert.deepEqual(grant.direct!.addresses, ["192.0.2.7"]);
  assert.equal(host.assignments.get(DISK)!.state, "direct");
  const back = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: false });
  await world.task(back.task.id);
  assert.equal([...units[0]!.volumes.values()][0]!.grant!.direct, undefined);
  assert.equal(host.assignments.get(DISK)!.state, "attached");
  await world.end();
});

Deno.test("a task that waits can be cancelled, and gives everything back", async () => {
  const { world, units, host } = await smallPool([10]);
  units[0]!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.pass(1000);
  await world.station.api.cancelTask(task.id);
  assert.equal((await world.task(task.id)).state, "cancelled");
  await world.pass(2000);
  assert.equal(units[0]!.volumes.size, 0);
  await assert.rejects(world.station.api.cancelTask(task.id), /has ended/);
  await world.end();
});

Deno.test("a create gives up on a unit that stays away, and leaves its debt visible", async () => {
  const { world, units, host } = await smallPool([10]);
  world.fault = (_id, name) => name === "VOLUME_CREATE" ? "lose-answer" : "deliver";
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  world.cut(units[0]!);
  const ended = await world.task(task.id);
  assert.equal(ended.state, "failed");
  assert.equal(ended.error!.code, "unavailable");
  world.fault = () => "deliver";
  await world.join(units[0]!);
  await world.pass(2000);
  assert.equal(units[0]!.volumes.size, 0);
  await world.end();
});

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
