import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB } from "../../protocol/core/limits.ts";
import { FakeUnit } from "./fake_unit.ts";
import { FakeHost, FakeWorld } from "./fake_world.ts";

const DISK = "11111111-1111-4111-8111-111111111111";

async function smallPool(gibs: readonly number[] = [10, 20]) {
  const world = new FakeWorld();
  await world.start();
  const units = gibs.map((gib, index) => new FakeUnit(`u${index + 1}`, { seed: index + 1, gib }));
  for (const unit of units) assert.equal(await world.join(unit), null);
  const host = new FakeHost("h1", 77);
  assert.equal(await world.join(host), null);
  return { world, units, host };
}

function order(name: string, gib: number, diskId = DISK) {
  return { diskId, name, sizeBytes: gib * GIB, layout: "linear" as const };
}

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

/** Crashes the station at its n-th request, for every n that occurs, and looks at the end. */
async function crashEverywhere(
  prepare: (pool: Awaited<ReturnType<typeof smallPool>>) => Promise<void>,
  act: (pool: Awaited<ReturnType<typeof smallPool>>) => Promise<string>,
  check: (pool: Awaited<ReturnType<typeof smallPool>>) => void,
): Promise<number> {
  for (let crashAt = 1;; crashAt++) {
    const pool = await smallPool([10, 20]);
    const { world, units, host } = pool;
    await prepare(pool);
    let requests = 0;
    world.fault = () =>
      ++requests === crashAt ? "lose-answer" : requests > crashAt ? "lose-request" : "deliver";
    const taskId = await act(pool);
    for (let turn = 0; turn < 8 && requests < crashAt; turn++) await world.pass(500);
    const happened = requests >= crashAt;
    world.fault = () => "deliver";
    await world.crash();
    for (const node of [...units, host]) await world.join(node);
    const task = await world.task(taskId);
    assert.equal(task.state, "done", `crash at request ${crashAt}: ${task.step}`);
    await world.pass(2000);
    check(pool);
    await world.end();
    if (!happened) return crashAt - 1;
  }
}

const nothing = () => Promise.resolve();

Deno.test("a crash of the station at any step of a create is made good", async () => {
  const steps = await crashEverywhere(
    nothing,
    async ({ world, host }) => (await world.ask(host, "STORAGE_REQUEST", order("big", 25))).task.id,
    ({ units, host }) => {
      assert.deepEqual(units.map((unit) => unit.volumes.size), [1, 1]);
      assert.equal(host.assignments.get(DISK)!.sizeBytes, 25 * GIB);
    },
  );
  assert.ok(steps >= 5, `${steps} steps`);
});

Deno.test("a crash of the station at any step of a grow is made good", async () => {
  await crashEverywhere(
    async ({ world, host }) => {
      await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
    },
    async ({ world, host }) =>
      (await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 22 * GIB })).task.id,
    ({ units, host }) => {
      assert.deepEqual(units.map((unit) => unit.volumes.size), [1, 1]);
      assert.equal(host.assignments.get(DISK)!.sizeBytes, 22 * GIB);
    },
  );
});

Deno.test("a crash of the station at any step of a release is made good", async () => {
  await crashEverywhere(
    async ({ world, host }) => {
      await world.task((await world.ask(host, "STORAGE_REQUEST", order("big", 25))).task.id);
    },
    async ({ world, host }) => (await world.ask(host, "DISK_RELEASE", { diskId: DISK })).task.id,
    ({ units, host, world }) => {
      assert.deepEqual(units.map((unit) => unit.volumes.size), [0, 0]);
      assert.equal(host.assignments.size, 0);
      assert.deepEqual(world.station.api.disks(), []);
    },
  );
});

Deno.test("goodbye and silence are told apart", async () => {
  const { world, units } = await smallPool();
  const [u1, u2] = units as [FakeUnit, FakeUnit];
  await world.ask(u1, "UNIT_SHUTDOWN", { reason: "maintenance", planned: true, awayMs: 60_000 });
  world.cut(u1);
  world.cut(u2);
  await world.pass(10_000);
  const states = () => world.station.api.units().map((unit) => unit.state);
  assert.deepEqual(states(), ["leaving", "silent"]);
  assert.match(
    world.station.api.explainAllocation({ sizeBytes: GIB }).units[1]!.reason,
    /silent for/,
  );
  await world.pass(60_000);
  assert.deepEqual(states(), ["gone", "silent"]);
  await world.join(u1);
  await world.join(u2);
  assert.deepEqual(states(), ["online", "online"]);
  const kinds = (await world.station.api.events({ after: 0, limit: 100 })).map((each) => each.kind);
  for (const kind of ["node.goodbye", "node.silent", "node.gone"]) assert.ok(kinds.includes(kind));
  await world.end();
});

Deno.test("a name, an id and a join without a key are refused", async () => {
  const { world } = await smallPool();
  const impostor = new FakeHost("h1", 500);
  assert.match((await world.join(impostor))!, /belongs to another host/);
  const stranger = new FakeHost("h9", 501);
  assert.match((await world.join(stranger, false))!, /no valid host join key/);
  await world.end();
});

Deno.test("with --admit approve a node waits, and can do nothing before", async () => {
  const world = new FakeWorld();
  world.admit = "approve";
  await world.start();
  const unit = new FakeUnit("u1", { seed: 1, gib: 10 });
  const host = new FakeHost("h1", 77);
  await world.join(unit);
  await world.join(host);
  assert.equal(world.station.api.units()[0]!.state, "pending");
  assert.deepEqual(world.sent, []);
  await assert.rejects(
    async () => await world.ask(host, "STORAGE_REQUEST", order("db", 1)),
    /approval/,
  );
  await world.station.api.approveNode("u1", "admin");
  await world.station.api.approveNode("h1", "admin");
  await world.pass(500);
  assert.equal(world.station.api.units()[0]!.state, "online");
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 1));
  assert.equal((await world.task(task.id)).state, "done");
  await world.end();
});

Deno.test("revoking a host ends its session and fences its grants, and it stays out", async () => {
  const { world, units, host } = await smallPool();
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const task = await world.station.api.revokeNode("h1", "admin");
  assert.equal((await world.task(task.id)).state, "done");
  const volume = [...units[0]!.volumes.values()][0]!;
  assert.equal(volume.grant!.state, "fenced");
  assert.match((await world.join(host))!, /revoked/);
  assert.equal(world.station.api.disks()[0]!.state, "failed");
  await world.end();
});

Deno.test("a damaged catalog is left as it is; what units hold is adopted, never deleted", async () => {
  const { world, units, host } = await smallPool();
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.station.stop();
  const path = world.path("catalog-1.sqlite");
  Deno.writeFileSync(path, new Uint8Array(8192).fill(7));
  await world.start();
  for (const node of [...units, host]) await world.join(node);
  await world.pass(2000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.match(api.health().problems[0]!, /left as it is/);
  assert.equal(units[0]!.volumes.size, 1);
  assert.equal(api.disks()[0]!.name, "db");
  assert.equal(api.disks()[0]!.host, "h1");
  await assert.rejects(api.releaseDisk("db", "admin"), /recovered/);
  assert.deepEqual(Deno.readFileSync(path), new Uint8Array(8192).fill(7));
  await world.end();
});

Deno.test("the epoch rises at every start, and above any that a unit has seen", async () => {
  const { world, units } = await smallPool();
  assert.equal(world.station.api.pool().epoch, 1);
  await world.crash();
  assert.equal(world.station.api.pool().epoch, 2);
  units[0]!.epoch = 40;
  units[0]!.instance = "another";
  await world.join(units[0]!);
  await world.pass(500);
  assert.equal(world.station.api.pool().epoch, 41);
  assert.equal(world.station.api.pool().state, "recovered");
  await world.crash();
  assert.equal(world.station.api.pool().epoch, 42);
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
