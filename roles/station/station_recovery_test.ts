import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { FINISH_AGAIN_MS, GIB } from "../../protocol/core/limits.ts";
import { seeded } from "../../storage/media/testing.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";
import { FakeHost, type FakeNode, FakeWorld } from "./fake_world_testing.ts";

const OTHER = DISK.replace("1111-1111", "2222-2222");

async function create(world: FakeWorld, host: FakeHost, asked: ReturnType<typeof order>) {
  const { task } = await world.ask(host, "STORAGE_REQUEST", asked);
  assert.equal((await world.task(task.id)).state, "done");
}

/** Everybody joins, and time goes by until nothing moves. */
async function gather(world: FakeWorld, nodes: readonly FakeNode[]): Promise<void> {
  for (const node of nodes) assert.equal(await world.join(node), null);
  await world.pass(6000);
}

/** Confirms what is shown, as an operator would who has read it. */
async function confirm(world: FakeWorld): Promise<void> {
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(6000);
  assert.equal(api.pool().state, "normal");
}

function held(units: readonly FakeUnit[]): string[] {
  return units.flatMap((unit) => [...unit.volumes.keys()]).sort();
}

Deno.test("a catalog restored from before destroys nothing, and learns what units hold", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await create(world, host, order("old", 4));
  const backup = await stopAndCopy(world);
  await world.start();
  await gather(world, [...units, host]);
  await world.task(
    (await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB })).task.id,
  );
  await create(world, host, order("new", 3, OTHER));
  const before = held(units);
  const told = structuredClone(host.assignments);
  await world.station.stop();
  restore(world, backup);
  await world.start();
  await gather(world, [...units, host]);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.match(api.health().problems.join(), /of which this catalog knows nothing|newer than/);
  assert.deepEqual(held(units), before);
  assert.deepEqual(host.assignments, told, "hosts keep what they were told");
  await assert.rejects(api.releaseDisk("old", "admin"), /recovered state/);
  await assert.rejects(api.confirmRecovery("000000000000", "admin"), /another one now/);
  await confirm(world);
  assert.deepEqual(held(units), before);
  assert.deepEqual(api.differences(), []);
  for (const [id, { sizeBytes, version, legs }] of told) {
    const now = host.assignments.get(id)!;
    assert.ok(now.version > version);
    assert.deepEqual([now.sizeBytes, now.legs], [sizeBytes, legs]);
  }
  await world.task((await api.releaseDisk("new", "admin")).id);
  assert.equal(held(units).length, 1);
  await world.end();
});

Deno.test("a grant without the agent that an older catalog learns makes the disk direct", async () => {
  const { world, units, host } = await smallPool([10]);
  await create(world, host, order("db", 4));
  const backup = await stopAndCopy(world);
  await world.start();
  await gather(world, [...units, host]);
  const { task } = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
  await world.task(task.id);
  await world.station.stop();
  restore(world, backup);
  await world.start();
  await gather(world, [...units, host]);
  await confirm(world);
  assert.equal(host.assignments.get(DISK)!.state, "direct", "as its unit lets nobody else in");
  const back = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: false });
  await world.task(back.task.id);
  assert.equal(host.assignments.get(DISK)!.state, "attached");
  assert.equal([...units[0]!.volumes.values()][0]!.grant!.direct, undefined);
  await world.end();
});

Deno.test("what an older catalog was to delete is withheld, shown, and done once confirmed", async () => {
  const { world, units, host } = await smallPool([10]);
  await create(world, host, order("db", 4));
  world.cut(units[0]!);
  await world.task((await world.station.api.releaseDisk("db", "admin")).id);
  await world.station.stop();
  world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
  await world.start();
  await gather(world, [...units, host]);
  assert.equal(held(units).length, 1);
  const { differences } = world.station.api.recovery();
  assert.equal(differences.length, 1);
  assert.match(differences[0]!.wanted, /that it is deleted: disk "db" was released/);
  assert.match(differences[0]!.waits ?? "", /dvsan ctl recover --confirm/);
  assert.equal(differences[0]!.onConfirm, "is fenced or deleted");
  await confirm(world);
  assert.equal(held(units).length, 0);
  await world.end();
});

Deno.test("a disk is uncertain until all its legs were seen, and no host is told half of it", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await create(world, host, order("wide", 25));
  const told = structuredClone(host.assignments.get(DISK)!);
  assert.equal(told.legs.length, 2);
  await world.station.stop();
  Deno.writeFileSync(world.path("catalog-1.sqlite"), new Uint8Array(9000).fill(7));
  await world.start();
  await gather(world, [units[0]!, host]);
  const { api } = world.station;
  assert.match(
    api.differences().find(({ kind }) => kind === "disk")!.held,
    /uncertain: leg [01] of 2/,
  );
  await confirm(world);
  await world.heartbeat(host, host.digest);
  assert.deepEqual(host.assignments.get(DISK), told);
  const grow = async () =>
    await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 26 * GIB });
  await assert.rejects(grow, /its owner is uncertain/);
  await gather(world, [units[1]!]);
  await confirm(world); // The catalog was behind this unit too.
  assert.deepEqual(api.differences(), []);
  assert.deepEqual(host.assignments.get(DISK)!.legs, told.legs);
  assert.ok(host.assignments.get(DISK)!.version > told.version);
  await world.end();
});

Deno.test("a creation that a lost catalog's unit only began is forgotten once it is gone", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  unit!.zeroed = false;
  await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.pass(1000);
  // Told before its medium failed, and never durable.
  const [begun] = [...unit!.volumes.values()];
  unit!.volumes.set(begun!.id, { ...begun!, state: "failed", reason: "its medium failed" });
  await world.station.stop();
  Deno.writeFileSync(world.path("catalog-1.sqlite"), new Uint8Array(9000).fill(7));
  await world.start();
  await gather(world, [unit!, host]);
  const { api } = world.station;
  assert.equal(api.disks().length, 1);
  unit!.volumes.clear();
  unit!.revision++;
  await world.heartbeat(unit!, "changed");
  await confirm(world);
  assert.deepEqual([api.disks(), api.differences()], [[], []]);
  assert.equal(host.assignments.size, 0);
  await world.end();
});

Deno.test("of two stations with one key the earlier loses, says why, and changes nothing", async () => {
  const { world, units, host } = await smallPool([10]);
  await create(world, host, order("db", 4));
  const backup = await stopAndCopy(world);
  await world.start();
  await gather(world, [...units, host]);
  await create(world, host, order("two", 1, OTHER));
  const clone = new FakeWorld();
  restore(clone, backup);
  await clone.start();
  await gather(clone, [...units, host]);
  assert.equal(clone.station.api.pool().state, "recovered");
  const third = order("three", 1, DISK.replace("1111-1111", "3333-3333"));
  await clone.ask(host, "STORAGE_REQUEST", third);
  await clone.pass(1000);
  await world.heartbeat(units[0]!, "something else");
  await world.pass(1000);
  assert.equal(world.station.api.pool().state, "superseded");
  const { ok, problems } = world.station.api.health();
  assert.equal(ok, false);
  assert.match(problems.join(), /obeys another station with the same key/);
  const [shown] = world.station.api.differences();
  assert.match(`${shown?.will} ${shown?.waits}`, /^nothing any more.*stops one of the two/);
  const again = order("four", 1, DISK.replace("1111-1111", "4444-4444"));
  await assert.rejects(
    async () => await world.ask(host, "STORAGE_REQUEST", again),
    /obeys another station/,
  );
  await clone.heartbeat(units[0]!, "something else");
  await clone.pass(1000);
  assert.equal(clone.station.api.pool().state, "recovered", "one of the two goes on");
  await world.end();
  await clone.end();
});

Deno.test("an identity that two processes use by turns is told in words", async () => {
  const { world, units } = await smallPool([10]);
  const run = (value: string): FakeNode => {
    const { id, publicKey, hello } = units[0]!;
    return { id, publicKey, hello: { ...hello, run: value }, answer: units[0]!.answer };
  };
  await world.join(run("first"));
  await world.join(run("second"));
  assert.deepEqual(world.station.api.health().problems, [], "a restart is no copy");
  await world.join(run("first"));
  assert.match(
    world.station.api.health().problems[0]!,
    /Two processes use the identity of unit "u1"/,
  );
  const events = await world.station.api.events({ after: 0, limit: 100 });
  assert.equal(events.filter(({ kind }) => kind === "node.copied").length, 1);
  await world.end();
});

Deno.test("whatever happens to the catalog's bytes, nothing is deleted and all is found again", async () => {
  for (let seed = 1; seed <= 12; seed++) {
    const next = seeded(seed);
    const { world, units, host } = await smallPool([10, 20]);
    await create(world, host, order("one", 4));
    await create(world, host, order("wide", 22, OTHER));
    const before = held(units);
    const told = new Map([...host.assignments].map(([id, { legs }]) => [id, legs]));
    await world.station.stop();
    const path = world.path("catalog-1.sqlite");
    const bytes = Deno.readFileSync(path);
    for (let times = Math.ceil(next() * 6); times > 0; times--) {
      const at = Math.floor(next() * bytes.length);
      if (seed % 2 === 0) bytes.fill(0, at - (at % 4096), at - (at % 4096) + 4096);
      else bytes[at] = bytes[at]! ^ (1 << Math.floor(next() * 8));
    }
    Deno.writeFileSync(path, bytes);
    await world.start();
    await gather(world, [...units, host]);
    assert.deepEqual(held(units), before, `seed ${seed}`);
    const { api } = world.station;
    if (api.pool().state === "recovered") await confirm(world);
    assert.deepEqual(held(units), before, `seed ${seed}`);
    assert.deepEqual(api.differences(), [], `seed ${seed}`);
    assert.equal(api.disks().length, 2, `seed ${seed}`);
    for (const [id, legs] of told) {
      assert.deepEqual(host.assignments.get(id)?.legs, legs, `seed ${seed}`);
    }
    await world.end();
  }
});

Deno.test("the catalog is checked while it is in use, and written anew", async () => {
  const { world, host, units } = await smallPool([10]);
  await create(world, host, order("db", 4));
  const { api } = world.station;
  assert.equal((await api.checkCatalog()).isSound, true);
  world.spoil("UPDATE grants SET counter = counter + 1");
  const found = await api.checkCatalog();
  assert.match(found.findings.join(), /grants .*: its checksum is wrong/);
  const repaired = await api.repairCatalog("admin");
  assert.deepEqual([repaired.isSound, repaired.file.endsWith("catalog-2.sqlite")], [true, true]);
  await create(world, host, order("more", 1, OTHER));
  await world.crash();
  await gather(world, [...units, host]);
  assert.equal(world.station.api.pool().state, "normal");
  assert.equal(world.station.api.disks().length, 2);
  await world.end();
});

for (const what of ["made", "grown"] as const) {
  Deno.test(`a disk that could not be ${what} while the catalog was uncertain is finished later`, async () => {
    const { world, units, host } = await smallPool([10, 20]);
    if (what === "grown") await create(world, host, order("db", 4));
    await world.station.stop();
    world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
    await world.start();
    await gather(world, [...units, host]);
    const { api } = world.station;
    assert.equal(api.pool().state, "recovered");
    for (const unit of units) unit.refuse.set("VOLUME_CREATE", new DvsanError("io", "no label"));
    const { task } = what === "made"
      ? await world.ask(host, "STORAGE_REQUEST", order("db", 4))
      : await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 25 * GIB });
    const failed = await world.task(task.id);
    assert.equal(failed.state, "failed");
    assert.match(failed.error?.message ?? "", new RegExp(`"db" is ${what} to its end once an`));
    await confirm(world); // What is tried at once fails too.
    for (const unit of units) unit.refuse.clear();
    await world.pass(2 * FINISH_AGAIN_MS);
    assert.deepEqual(api.differences(), []);
    assert.deepEqual(api.disks().map(({ state }) => state), ["ready"]);
    const legs = host.assignments.get(DISK)!.legs;
    assert.deepEqual(legs.map(({ volumeId }) => volumeId).sort(), held(units));
    await world.end();
  });
}
