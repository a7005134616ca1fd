import assert from "node:assert/strict";
import { nodeUri } from "../../protocol/certificates/node_uri.ts";
import { peerProblem } from "../../protocol/certificates/peer.ts";
import { GIB, NODE_SILENT_MS, UNITS_RETURN_MS } from "../../protocol/core/limits.ts";
import { order, smallPool } from "./fake_pool_testing.ts";
import { FakeUnit } from "./fake_unit_testing.ts";
import { FakeHost, FakeWorld } from "./fake_world_testing.ts";

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

Deno.test("of a unit that is silent nobody knows how its volumes are", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const shown = () => {
    const [volume] = world.station.api.volumes();
    return { state: volume?.state, away: volume?.away };
  };
  assert.deepEqual(shown(), { state: "ready", away: null });
  world.cut(unit!);
  await world.pass(10_000);
  assert.match(shown().away ?? "", /^silent for/);
  assert.equal(await world.join(unit!), null);
  assert.deepEqual(shown(), { state: "ready", away: null });
  await world.end();
});

Deno.test("a station that stood still itself takes nobody for silent that it then hears", async () => {
  const { world, units } = await smallPool();
  const states = () => world.station.api.units().map((unit) => unit.state);
  await world.clock.standStill(60_000);
  assert.deepEqual(states(), ["online", "online"]);
  // Silent is who says nothing from then on.
  world.cut(units[1]!);
  await world.pass(NODE_SILENT_MS);
  assert.deepEqual(states(), ["online", "silent"]);
  await world.end();
});

Deno.test("a node that is heard while its record is written joins, and is not back", async () => {
  const world = new FakeWorld();
  await world.start();
  const unit = new FakeUnit("u1", { seed: 1, gib: 10 });
  const joining = world.join(unit);
  world.station.linkEvents.heard(unit.id);
  assert.equal(await joining, null);
  await world.pass(100);
  const events = await world.station.api.events({ after: 0, limit: 100 });
  const kinds = events.map((each) => each.kind).filter((kind) => kind.startsWith("node."));
  assert.deepEqual(kinds, ["node.admitted", "node.joined"]);
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

Deno.test("a request right after a start waits for the units to come back", async () => {
  const { world, units, host } = await smallPool();
  await world.crash();
  await world.join(host);
  const asking = world.ask(host, "STORAGE_REQUEST", order("db", 4));
  await world.pass(1000);
  for (const unit of units) await world.join(unit);
  await world.pass(1000);
  assert.equal((await world.task((await asking).task.id)).state, "done");
  await world.end();
});

Deno.test("a request after a start does not wait for ever for a unit that is gone", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await world.crash();
  await world.join(host);
  await world.join(units[0]!);
  const asking = world.ask(host, "STORAGE_REQUEST", order("big", 15));
  const refused = assert.rejects(asking, /"u2" silent since the station started/);
  await world.pass(UNITS_RETURN_MS + 1000);
  await refused;
  await world.end();
});

Deno.test("a node that says goodbye and does not go is back, and not at its last packets", async () => {
  const { world, units } = await smallPool();
  const state = () => world.station.api.units()[0]!.state;
  await world.ask(units[0]!, "UNIT_SHUTDOWN", { reason: "test", planned: true, awayMs: 60_000 });
  await world.pass(2000);
  assert.equal(state(), "leaving");
  await world.pass(6000);
  assert.equal(state(), "online");
  await world.end();
});

Deno.test("a member gets a certificate that names it, the same for the same key", async () => {
  const { world, units } = await smallPool();
  const [unit] = units as [FakeUnit];
  const publicKey = new Uint8Array(32).fill(9);
  const answer = await world.ask(unit, "CERTIFICATE_REQUEST", { publicKey });
  const expected = { authorities: [answer.authority], uri: nodeUri("unit", unit.id) };
  assert.equal(peerProblem(answer.certificate, expected), null);
  assert.deepEqual(await world.ask(unit, "CERTIFICATE_REQUEST", { publicKey }), answer);
  const endpoint = { address: "192.0.2.9", port: 1 };
  const stranger = { id: "ff".repeat(16), publicKey, hello: unit.hello, endpoint };
  const { CERTIFICATE_REQUEST: certify } = world.station.linkEvents.handlers;
  assert.throws(() => certify?.({ publicKey }, stranger), { code: "denied" });
  await world.end();
});
