import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { order, smallPool } from "./fake_pool_testing.ts";

async function diskIsMade() {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  return { world, unit: unit!, host };
}

Deno.test("what is to be deleted on a unit whose record was lost is on the list to confirm", async () => {
  const { world, unit, host } = await diskIsMade();
  world.cut(unit);
  await world.task((await world.station.api.releaseDisk("db", "admin")).id);
  await world.station.stop();
  const database = new DatabaseSync(world.path("catalog-1.sqlite"));
  database.exec("DELETE FROM nodes WHERE role = 'unit'; DELETE FROM observed");
  database.close();
  world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
  await world.start();
  await world.join(host);
  await world.pass(2000);
  const { api } = world.station;
  const view = api.recovery();
  assert.deepEqual([view.state, view.unseen], ["recovered", [unit.id]]);
  const [shown, ...more] = view.differences;
  assert.deepEqual(more, []);
  assert.match(shown!.wanted, /that it is deleted: disk "db" was released/);
  assert.equal(shown!.held, "not known: the unit did not tell yet");
  assert.equal(shown!.onConfirm, "is fenced or deleted");
  // The unit comes, and so the list that was shown is another one.
  await world.join(unit);
  await world.pass(2000);
  await assert.rejects(api.confirmRecovery(view.list, "admin"), /another one now/);
  assert.equal(unit.volumes.size, 1);
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(6000);
  assert.equal(unit.volumes.size, 0);
  await world.end();
});

Deno.test("a volume is not called gone before its unit told what it holds", async () => {
  const { world, unit, host } = await diskIsMade();
  await world.station.stop();
  const database = new DatabaseSync(world.path("catalog-1.sqlite"));
  database.exec("DELETE FROM observed");
  database.close();
  await world.start();
  await world.join(host);
  await world.pass(2000);
  const waits = () => world.station.api.differences().map(({ waits }) => waits).join();
  assert.match(waits(), /the unit, which did not tell what it holds yet; unit "u1" /);
  assert.doesNotMatch(waits(), /missing or was replaced/);
  await world.join(unit);
  await world.pass(2000);
  assert.deepEqual(world.station.api.differences(), []);
  await world.end();
});

Deno.test("a catalog that is sound is not said to have been written anew", async () => {
  const { world } = await diskIsMade();
  const { api } = world.station;
  assert.equal((await api.repairCatalog("admin")).isSound, true);
  const events = await api.events({ after: 0, limit: 100 });
  assert.ok(events.every(({ kind }) => kind !== "catalog.repaired"));
  await world.end();
});

Deno.test("why a station is in recovered state is told after its next start, until it is confirmed", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.station.stop();
  world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
  await world.start();
  await world.crash();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const { list, reasons } = world.station.api.recovery();
  assert.deepEqual(reasons, [
    "The catalog is older than this station: what units hold goes first.",
  ]);
  await world.station.api.confirmRecovery(list, "ann");
  await world.crash();
  const now = world.station.api.recovery();
  assert.deepEqual([now.state, now.reasons], ["normal", []]);
  await world.end();
});

Deno.test("a reason that came after the list was shown is not confirmed with it", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.heartbeat(host, "");
  await world.station.stop();
  world.files.delete("station.marks");
  await world.start();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.pass(2000);
  const { api } = world.station;
  const { list, reasons } = api.recovery();
  assert.equal(reasons.length, 1);
  host.heard = { ...host.heard!, commits: host.heard!.commits + 9 };
  await world.heartbeat(host, "");
  assert.match(api.recovery().reasons[1]!, /has heard of more that was written/);
  await assert.rejects(api.confirmRecovery(list, "ann"), /another one now/);
  await api.confirmRecovery(api.recovery().list, "ann");
  assert.equal(api.pool().state, "normal");
  await world.end();
});

Deno.test("a host is not said to have no map because the catalog that told of it is lost", async () => {
  const { world, unit, host } = await diskIsMade();
  await world.station.stop();
  for (const suffix of ["", "-wal", "-shm"]) {
    try {
      Deno.removeSync(world.path(`catalog-1.sqlite${suffix}`));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  world.cut(host);
  await world.start();
  await world.join(unit);
  await world.pass(2000);
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(2000);
  const shown = api.differences().find(({ kind }) => kind === "disk");
  assert.match(shown!.wanted, /^that the host knows map version/);
  assert.equal(shown!.held, "none that its host has confirmed");
  await world.end();
});
