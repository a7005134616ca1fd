import assert from "node:assert/strict";
import { type Backup, restore, stopAndCopy } from "./fake_backup_testing.ts";
import { order, smallPool } from "./fake_pool_testing.ts";
import { FakeHost, type FakeNode, FakeWorld } from "./fake_world_testing.ts";

const WORDS =
  /The (unit "u1"|host "h1") has heard of more that was written to this station's catalo/;

/** A unit, a host and another one, without any disk, which are all told how far the catalog is. */
async function disklessPool() {
  const { world, units: [unit], host } = await smallPool([10]);
  const bare = new FakeHost("h2", 5);
  assert.equal(await world.join(bare), null);
  await beat(world, [unit!, host, bare]);
  return { world, unit: unit!, host, bare };
}

async function beat(world: FakeWorld, nodes: readonly FakeNode[]): Promise<void> {
  for (const node of nodes) await world.heartbeat(node, "");
}

/** The station starts, and these nodes find it. */
async function startWith(world: FakeWorld, nodes: readonly FakeNode[]): Promise<void> {
  await world.start();
  for (const node of nodes) assert.equal(await world.join(node), null);
}

/** Of a station that runs on. */
function copyOf(world: FakeWorld): Backup {
  const name = "catalog-1.sqlite";
  const file = world.path(`${name}.copy`);
  world.spoil(`VACUUM INTO '${file}'`);
  const catalogs = new Map([[name, Deno.readFileSync(file)]]);
  Deno.removeSync(file);
  return { files: new Map(world.files), catalogs };
}

for (const when of ["before the run", "within the run"] as const) {
  Deno.test(`a whole directory of ${when} in which a host without disks was revoked is not taken for the newest`, async () => {
    const { world, unit, host, bare } = await disklessPool();
    const late = new FakeHost("h3", 6);
    assert.equal(await world.join(late), null);
    const copy = when === "before the run" ? await stopAndCopy(world) : copyOf(world);
    if (when === "before the run") await startWith(world, [unit, host, bare, late]);
    await world.task((await world.station.api.revokeNode("h2", "a")).id);
    await beat(world, [unit, host, late]);
    await world.station.stop();
    restore(world, copy);
    await startWith(world, [unit, host, bare]);
    await beat(world, [bare]);
    assert.equal(world.station.api.pool().state, "normal", "the only one there was told nothing");
    await beat(world, [host]);
    const { api } = world.station;
    const { state, reasons, members } = api.recovery();
    assert.deepEqual([state, reasons.length], ["recovered", 1]);
    assert.match(reasons[0]!, WORDS);
    assert.deepEqual(members, ['host "h1"', 'host "h2"', 'host "h3"', 'unit "u1"']);
    await beat(world, [unit]);
    assert.deepEqual(api.recovery().reasons, reasons, "the first that says so is enough");
    await world.task((await api.revokeNode("h2", "a")).id);
    await api.confirmRecovery(api.recovery().list, "a");
    for (const there of [[unit, host], [unit, host, late], [unit, host]]) {
      await world.crash();
      for (const node of there) assert.equal(await world.join(node), null);
      await beat(world, there);
      assert.equal(world.station.api.pool().state, "normal", "it was confirmed");
    }
    await world.end();
  });
}

Deno.test("what nodes have heard is never newer than the catalog, whenever the station is killed", async () => {
  const { world, unit, host, bare } = await disklessPool();
  for (let start = 0; start < 5; start++) {
    // One of them is away for some runs.
    const there = start % 3 === 0 ? [unit, host, bare] : [unit, host];
    const moved = { ...host.hello, dataAddresses: [`192.0.2.${start}:1`] };
    Object.assign(host.hello, moved);
    const beating = beat(world, there);
    if (start % 2 === 0) await beating;
    await world.crash();
    await beating.catch(() => {});
    for (const node of there) assert.equal(await world.join(node), null);
  }
  await beat(world, [unit, host]);
  assert.equal(await world.join(bare), null);
  await beat(world, [bare]);
  assert.equal(world.station.api.pool().state, "normal");
  await world.end();
});

Deno.test("a host that tells of commits that no station made is named, and can be revoked", async () => {
  const { world, unit, host, bare } = await disklessPool();
  const { api } = world.station;
  for (const commits of [1e6, Number.MAX_SAFE_INTEGER]) {
    bare.heard = { ...bare.heard!, commits };
    await beat(world, [bare]);
    assert.match(api.recovery().reasons.join(), /^The host "h2" has heard of more/);
    await api.confirmRecovery(api.recovery().list, "a");
  }
  bare.heard = { epoch: Number.MAX_SAFE_INTEGER, instance: "of nobody", commits: 0 };
  await beat(world, [bare]);
  assert.match(api.recovery().reasons.join(), /^The host "h2" has heard of more/);
  await world.task((await api.revokeNode("h2", "a")).id);
  await api.confirmRecovery(api.recovery().list, "a");
  await beat(world, [unit, host]);
  assert.equal(api.pool().state, "normal");
  // Nothing of it stays: what is true is still noticed.
  const copy = copyOf(world);
  await world.task((await api.revokeNode("h1", "a")).id);
  await beat(world, [unit]);
  await world.station.stop();
  restore(world, copy);
  await startWith(world, [unit, host]);
  await beat(world, [unit]);
  assert.match(world.station.api.recovery().reasons.join(), WORDS);
  await world.end();
});

Deno.test("a node keeps what it has heard until the station has it durably that it is behind", async () => {
  const { world, host } = await disklessPool();
  const heard = { ...host.heard!, commits: host.heard!.commits + 9 };
  host.heard = heard;
  world.spoil("PRAGMA query_only = ON");
  await beat(world, [host]);
  assert.deepEqual(host.heard, heard);
  assert.equal(world.station.api.pool().state, "recovered", "nothing is taken away meanwhile");
  world.spoil("PRAGMA query_only = OFF");
  await beat(world, [host]);
  assert.notDeepEqual(host.heard, heard);
  await world.crash();
  assert.equal(world.station.api.pool().state, "recovered");
  await world.end();
});

Deno.test("what was confirmed is not asked again, when the runs that were lost had gone further than this one", async () => {
  const { world, unit, host, bare } = await disklessPool();
  const late = new FakeHost("h3", 6);
  const copy = await stopAndCopy(world);
  for (let run = 0; run < 4; run++) {
    await startWith(world, [unit, host, bare, late]);
    await beat(world, [unit, host, bare, late]);
    await world.station.stop();
  }
  restore(world, copy);
  await startWith(world, [unit, host]);
  await beat(world, [unit, host]);
  assert.match(world.station.api.recovery().reasons.join(), WORDS);
  await world.crash();
  for (const node of [unit, host]) assert.equal(await world.join(node), null);
  await beat(world, [unit, host]);
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "a");
  assert.equal(api.pool().state, "normal");
  assert.equal(await world.join(bare), null);
  await beat(world, [bare]);
  assert.deepEqual(api.recovery().reasons, [], "it was confirmed");
  await world.crash();
  assert.equal(await world.join(late), null);
  await beat(world, [late]);
  assert.deepEqual(world.station.api.recovery().reasons, [], "it was confirmed");
  await world.end();
});

Deno.test("of two stations the earlier gives way, also when a host tells it of the other before a unit does", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  const copy = await stopAndCopy(world);
  await startWith(world, [unit!, host]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const clone = new FakeWorld();
  restore(clone, copy);
  await startWith(clone, [unit!, host]);
  await clone.pass(2000);
  const { api } = clone.station;
  await api.confirmRecovery(api.recovery().list, "a");
  const other = order("more", 1, "22222222-2222-4222-8222-222222222222");
  await clone.task((await clone.ask(host, "STORAGE_REQUEST", other)).task.id);
  await beat(clone, [unit!, host]);
  await beat(world, [host]);
  assert.equal(world.station.api.pool().state, "recovered");
  await beat(world, [unit!]);
  assert.equal(world.station.api.pool().state, "superseded");
  await clone.end();
  await world.end();
});
