import assert from "node:assert/strict";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { order, smallPool } from "./fake_pool_testing.ts";
import { FakeHost, type FakeNode, type FakeWorld } from "./fake_world_testing.ts";

const IDENTITY = "station.json";
const OWN_DISK = "22222222-2222-4222-8222-222222222222";

/** A host with a disk whose unit is away while an operator revokes it, and one without a disk. */
async function twoRevoked() {
  const { world, units: [unit], host } = await smallPool([10]);
  const bare = new FakeHost("h2", 5);
  assert.equal(await world.join(bare), null);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const before = await stopAndCopy(world);
  await world.start();
  for (const node of [host, bare]) assert.equal(await world.join(node), null);
  const said: string[] = [];
  for (const name of ["h1", "h2"]) {
    const task = await world.task((await world.station.api.revokeNode(name, "a")).id);
    assert.equal(task.state, "done");
    said.push(...task.log.map(({ text }) => text));
  }
  assert.match(said.join("\n"), /Copy .*station\.json anew/);
  const after = await stopAndCopy(world);
  const grant = () => [...unit!.volumes.values()][0]!.grant!;
  return { world, unit: unit!, host, bare, before, after, grant };
}

/** The unit has fenced the one, and then the station's whole directory of before is put back. */
async function allOfBefore() {
  const { world, unit, bare, before, grant } = await twoRevoked();
  await world.start();
  assert.equal(await world.join(unit), null);
  await world.pass(3000);
  assert.equal(grant().state, "fenced");
  await world.station.stop();
  restore(world, before);
  await world.start();
  for (const node of [unit, bare]) assert.equal(await world.join(node), null);
  return { world, unit, bare };
}

/** The station starts; who was revoked is refused, and the operator is told why. */
async function isRefused(world: FakeWorld, nodes: readonly FakeNode[]) {
  for (const node of nodes) world.cut(node);
  await world.start();
  for (const node of nodes) assert.match(await world.join(node) ?? "", /was revoked/);
  const { state, reasons } = world.station.api.recovery();
  assert.equal(state, "recovered");
  for (const { hello: { name } } of nodes) {
    assert.match(
      reasons.join("\n"),
      new RegExp(`The host "${name}" was revoked, and this catalog`),
    );
  }
  const states = world.station.api.hosts().map(({ name, state }) => `${name} ${state}`);
  assert.deepEqual(states.sort(), ["h1 revoked", "h2 revoked"]);
}

for (const what of ["restored", "lost"] as const) {
  Deno.test(`a node that was revoked is not let in by a catalog that was ${what}, and is fenced when that is confirmed`, async () => {
    const { world, unit, host, bare, before, after, grant } = await twoRevoked();
    restore(world, { files: after.files, catalogs: what === "lost" ? new Map() : before.catalogs });
    await isRefused(world, [host, bare]);
    assert.equal(await world.join(unit), null);
    await world.pass(3000);
    assert.equal(grant().state, "active", "nothing is fenced before it was confirmed");
    const { api } = world.station;
    const view = api.recovery();
    assert.match(view.differences.map((one) => one.onConfirm).join(), /is fenced or deleted/);
    await api.confirmRecovery(view.list, "a");
    await world.pass(3000);
    assert.equal(api.pool().state, "normal");
    assert.equal(grant().state, "fenced");
    await world.end();
  });
}

Deno.test("with a bundle that was copied after a revocation a new machine's station knows of it", async () => {
  const { world, host, bare, after } = await twoRevoked();
  const bundle = after.files.get(IDENTITY)!;
  restore(world, { files: new Map([[IDENTITY, bundle]]), catalogs: new Map() });
  await isRefused(world, [host, bare]);
  await world.end();
});

Deno.test("an older identity file learns from the catalog who was revoked", async () => {
  const { world, host, bare, before, after } = await twoRevoked();
  const files = new Map([...after.files, [IDENTITY, before.files.get(IDENTITY)!]]);
  restore(world, { files, catalogs: after.catalogs });
  await world.start();
  assert.equal(world.station.api.pool().state, "normal");
  await world.station.stop();
  restore(world, { files: new Map(world.files), catalogs: new Map() });
  await isRefused(world, [host, bare]);
  await world.end();
});

Deno.test("where both are of before, who was revoked comes in, and is granted nothing before an operator who sees him there confirms", async () => {
  const { world, unit, bare } = await allOfBefore();
  const own = () => [...unit.volumes.values()].find(({ leg }) => leg.ownerName === "h2");
  const made = await world.ask(bare, "STORAGE_REQUEST", order("own", 1, OWN_DISK));
  await world.pass(10_000);
  const { api } = world.station;
  const { state, members } = api.recovery();
  assert.deepEqual([state, members], ["recovered", ['host "h1"', 'host "h2"', 'unit "u1"']]);
  assert.equal(own()?.grant, null);
  const task = (await api.tasks()).find(({ id }) => id === made.task.id);
  assert.match(task?.step ?? "", /is to be granted, but .*"dvsan ctl recover/);
  for (const name of ["h1", "h2"]) await world.task((await api.revokeNode(name, "a")).id);
  await api.confirmRecovery(api.recovery().list, "a");
  await world.pass(10_000);
  const { state: end, error } = await world.task(made.task.id);
  assert.equal(end, "failed");
  assert.match(error?.message ?? "", /host was revoked.* "own" is taken back once an operator/);
  assert.deepEqual([own(), api.differences()], [undefined, []], "who is out is told of nothing");
  await world.end();
});

Deno.test("what was asked for meanwhile is granted once that is confirmed", async () => {
  const { world, bare } = await allOfBefore();
  const { task } = await world.ask(bare, "STORAGE_REQUEST", order("own", 1, OWN_DISK));
  await world.pass(10_000);
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "a");
  assert.equal((await world.task(task.id)).state, "done");
  await world.end();
});

Deno.test("a medium that was given up comes back with the grant of a host that was revoked meanwhile: it is fenced", async () => {
  const { world, unit, host, before, grant } = await twoRevoked();
  // As if no record of the volume were left: it is adopted, and its label says that it is granted.
  restore(world, before);
  await world.start();
  for (const table of ["volumes", "grants", "disks"]) world.spoil(`DELETE FROM ${table}`);
  await world.crash();
  assert.equal(await world.join(host), null);
  assert.equal(
    (await world.task((await world.station.api.revokeNode("h1", "a")).id)).state,
    "done",
  );
  assert.equal(await world.join(unit), null);
  await world.pass(5000);
  const { api } = world.station;
  if (api.pool().state === "recovered") await api.confirmRecovery(api.recovery().list, "a");
  await world.pass(5000);
  assert.equal(grant().state, "fenced");
  await world.end();
});
