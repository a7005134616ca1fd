import assert from "node:assert/strict";
import { GIB } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import { FakeUnit } from "./fake_unit_testing.ts";
import type { FakeWorld } from "./fake_world_testing.ts";

const OTHER = DISK.replace("1111-1111", "2222-2222");

/** The catalog's disk is full: every writing of these tables fails as SQLite tells it. */
function fill(world: FakeWorld, tables: readonly string[]): void {
  for (const table of tables) {
    for (const when of ["INSERT", "UPDATE", "DELETE"]) {
      world.spoil(
        `CREATE TRIGGER full_${table}_${when} BEFORE ${when} ON ${table} ` +
          `BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
      );
    }
  }
}

function empty(world: FakeWorld, tables: readonly string[]): void {
  for (const table of tables) {
    for (const when of ["INSERT", "UPDATE", "DELETE"]) {
      world.spoil(`DROP TRIGGER full_${table}_${when}`);
    }
  }
}

/** A station whose catalog lies before its newest disk, and whose second unit is still away. */
async function behindPool() {
  const pool = await smallPool([10, 20]);
  const { world, units, host } = pool;
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("old", 4))).task.id);
  const backup = await stopAndCopy(world);
  await world.start();
  for (const node of [...units, host]) await world.join(node);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("new", 25, OTHER))).task.id);
  await world.station.stop();
  restore(world, backup);
  await world.start();
  return pool;
}

Deno.test("what comes to light while an operator confirms keeps the station recovered", async () => {
  const { world, units, host } = await behindPool();
  await world.join(units[0]!);
  await world.pass(1000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  const { list } = api.recovery();
  const confirming = api.confirmRecovery(list, "ann");
  const second = api.confirmRecovery(list, "ben");
  const joining = world.join(units[1]!);
  await assert.rejects(second, /Somebody else confirms/);
  await confirming.catch(() => {});
  await joining;
  await world.pass(1000);
  assert.equal(api.pool().state, "recovered", "the second unit holds what the catalog lacks");
  await world.crash();
  for (const node of [...units, host]) await world.join(node);
  assert.equal(world.station.api.pool().state, "recovered", "durably");
  await world.pass(6000);
  const now = world.station.api;
  await now.confirmRecovery(now.recovery().list, "ann");
  await world.pass(6000);
  assert.equal(now.pool().state, "normal");
  assert.equal(now.disks().length, 2);
  await world.end();
});

Deno.test("of two operators who confirm the same list at once, one is told so", async () => {
  const { world, units } = await behindPool();
  for (const unit of units) await world.join(unit);
  await world.pass(6000);
  const { api } = world.station;
  const { list } = api.recovery();
  const all = await Promise.allSettled(["ann", "ben"].map((who) => api.confirmRecovery(list, who)));
  assert.deepEqual(all.map(({ status }) => status), ["fulfilled", "rejected"]);
  assert.equal(api.pool().state, "normal");
  await world.end();
});

Deno.test("with a full disk a station behind its units takes nothing away, and says so once mended", async () => {
  const { world, units, host } = await behindPool();
  fill(world, ["meta", "disks"]);
  await world.join(units[0]!);
  await world.heartbeat(units[0]!, "1");
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  await assert.rejects(api.releaseDisk("old", "admin"), /recovered state/);
  empty(world, ["meta", "disks"]);
  await world.heartbeat(units[0]!, String(units[0]!.revision));
  await world.pass(1000);
  assert.equal(api.units().find(({ name }) => name === "u1")!.state, "online", "it was read anew");
  await world.crash();
  assert.equal(world.station.api.pool().state, "recovered", "durable since");
  for (const node of [...units, host]) await world.join(node);
  await world.end();
});

Deno.test("a task that meets a full disk ends, with the reason, once that is mended", async () => {
  const { world, units, host } = await smallPool([10]);
  units[0]!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.pass(1000);
  fill(world, ["tasks", "grants", "volumes", "disks"]);
  await assert.rejects(
    world.ask(host, "STORAGE_REQUEST", order("more", 1, OTHER)),
    /cannot write its catalog: the file system is full.*Nothing was changed/,
  );
  units[0]!.zeroed = true;
  units[0]!.finishZeroing();
  await world.heartbeat(units[0]!, "changed");
  await world.pass(4000);
  assert.equal((await world.station.api.task(task.id)).state, "running");
  empty(world, ["tasks", "grants", "volumes", "disks"]);
  const ended = await world.task(task.id);
  assert.equal(ended.state, "failed");
  assert.match(ended.error!.message, /file system is full/);
  await world.end();
});

Deno.test("a host that is revoked is waited for by nobody, and its new disk ends refused", async () => {
  const { world, units, host } = await smallPool([10]);
  units[0]!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("slow", 4));
  await world.pass(1000);
  const { api } = world.station;
  const revoking = await api.revokeNode("h1", "admin");
  assert.equal((await world.task(revoking.id, 5000)).state, "done");
  const failed = await world.task(task.id);
  assert.deepEqual([failed.state, failed.error?.code], ["failed", "denied"]);
  await world.pass(2000);
  assert.equal(units[0]!.volumes.size, 0, "taken back");
  await world.end();
});

Deno.test("a superseded station refuses every change, tells why, and its tasks end", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  units[1]!.zeroed = false;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("slow", 15, OTHER));
  await world.pass(1000);
  for (const unit of units) {
    unit.epoch += 5;
    unit.instance = "f".repeat(32);
    unit.revision++;
    await world.heartbeat(unit, String(unit.revision));
  }
  await world.pass(1000);
  const { api } = world.station;
  assert.equal(api.pool().state, "superseded");
  const why = /obeys another station with the same key/;
  const changes: (() => Promise<unknown>)[] = [
    () => api.createDisk({ host: "h1", name: "x", sizeBytes: GIB, layout: "linear" }, "a"),
    () => api.growDisk("db", { sizeBytes: 5 * GIB }, "a"),
    () => api.releaseDisk("db", "a"),
    () => api.revokeNode("h1", "a"),
    () => api.approveNode("h1", "a"),
    () => api.confirmRecovery(api.recovery().list, "a"),
    () => api.rotateJoinKey("host", "a"),
    () => world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 5 * GIB }),
    () => world.ask(host, "DISK_RELEASE", { diskId: DISK }),
    () => world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true }),
  ];
  for (const change of changes) await assert.rejects(Promise.try(change), why);
  assert.match(api.recovery().reasons.join(), why);
  assert.match(api.health().problems.join(), why);
  const ended = await world.task(task.id);
  assert.match(ended.error!.message, why);
  await world.end();
});

Deno.test("a superseded station does not have a host forget a disk that the other one may have", async () => {
  const { world, units, host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  for (const node of [...units, host]) world.cut(node);
  await world.pass(60_000);
  await world.task((await world.station.api.releaseDisk("db", "ann")).id);
  const [unit] = units;
  await world.join(unit!);
  // Cut off after it has obeyed this station, it is told by another one.
  unit!.epoch += 5;
  unit!.instance = "f".repeat(32);
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  await world.pass(1000);
  assert.equal(world.station.api.pool().state, "superseded");
  await world.join(host);
  await world.heartbeat(host, host.digest);
  await world.pass(60_000);
  assert.deepEqual([...host.assignments.keys()], [DISK]);
  await world.end();
});

Deno.test("a volume that was granted on another unit since has moved there", async () => {
  const { world, units, host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const backup = await stopAndCopy(world);
  const [volume] = [...units[0]!.volumes.values()];
  const there = new FakeUnit("u2", { seed: 9, gib: 10 });
  await world.start();
  for (const node of [...units, there, host]) await world.join(node);
  const generation = { epoch: 50, counter: 1 };
  there.volumes.set(volume!.id, { ...volume!, grant: { ...volume!.grant!, generation } });
  units[0]!.volumes.clear();
  await world.station.stop();
  restore(world, backup);
  await world.start();
  for (const node of [...units, there, host]) await world.join(node);
  await world.pass(6000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(6000);
  assert.equal(there.volumes.get(volume!.id)!.grant!.state, "active", "not fenced as a copy");
  assert.deepEqual(host.assignments.get(DISK)!.legs.map((leg) => [leg.unitName, leg.generation]), [
    ["u2", generation],
  ]);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a poisoned medium is shown with what to do, and opened anew by who agrees to the loss", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const asked: { station: { epoch: number }; action: string }[] = [];
  const answer = unit!.answer.bind(unit!);
  let state: "poisoned" | "ok" = "poisoned";
  const poisoned: typeof answer = async (name, body) => {
    if (name === "NEED_STORAGE_INFO") {
      const info = unit!.info();
      const media = info.media.map((one) => ({ ...one, state, reason: "a flush failed" }));
      return { ...info, media } as never;
    }
    if (name !== "MEDIUM_CHANGE") return await answer(name, body);
    asked.push(body as (typeof asked)[number]);
    state = "ok";
    unit!.revision++;
    return { medium: null } as never;
  };
  unit!.answer = poisoned;
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  const { api } = world.station;
  const [difference] = api.differences();
  assert.match(difference!.held, /^poisoned: a flush failed/);
  assert.match(difference!.waits ?? "", /dvsan ctl media reopen u1 /);
  const at = { unit: "u1", medium: "/dev/u1" };
  const reopen = (yes: boolean) => api.changeMedium(at, { action: "reopen", yes }, "ann");
  await assert.rejects(reopen(false), /written again only by hosts that still have it.*add --yes/s);
  assert.equal(asked.length, 0);
  assert.equal((await world.task((await reopen(true)).id)).state, "done");
  const told = asked.map(({ station, action }) => [station.epoch, action]);
  assert.deepEqual(told, [[api.pool().epoch, "reopen"]]);
  assert.deepEqual(api.differences(), []);
  await assert.rejects(reopen(true), /it is ok/);
  await world.end();
});
