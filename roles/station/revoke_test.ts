import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { order, smallPool } from "./fake_pool_testing.ts";

async function diskIsMade() {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const grant = () => [...unit!.volumes.values()][0]!.grant!;
  const revoke = async () => await world.task((await world.station.api.revokeNode("h1", "a")).id);
  return { world, unit: unit!, host, grant, revoke };
}

function wordsOf({ log }: { readonly log: readonly { readonly text: string }[] }): string {
  return log.map(({ text }) => text).join("\n");
}

Deno.test("a host that is revoked while the catalog is uncertain is said to be fenced later", async () => {
  const { world, unit, host, grant, revoke } = await diskIsMade();
  await world.station.stop();
  world.files.set("station.marks", new TextEncoder().encode('{"epoch":9,"events":0}'));
  await world.start();
  for (const node of [unit, host]) await world.join(node);
  await world.pass(2000);
  assert.equal(world.station.api.pool().state, "recovered");
  const task = await revoke();
  assert.equal(task.state, "done");
  assert.match(wordsOf(task), /Not fenced yet: u1\. Nothing is fenced before an operator/);
  assert.equal(grant().state, "active");
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "a");
  await world.pass(2000);
  assert.equal(grant().state, "fenced");
  await world.end();
});

Deno.test("a revocation that a unit refuses again and again ends, says why, and goes on", async () => {
  const { world, unit, grant, revoke } = await diskIsMade();
  unit.refuse.set("ACCESS_REVOKE", new DvsanError("io", "its medium is poisoned."));
  const task = await revoke();
  assert.equal(task.state, "failed");
  assert.match(
    task.error!.message,
    /"u1" did not fence .*: its medium is poisoned\. The station goes/,
  );
  unit.refuse.delete("ACCESS_REVOKE");
  await world.pass(60_000);
  assert.equal(grant().state, "fenced");
  await world.end();
});

Deno.test("a grant on a medium that is away is not called fenced", async () => {
  const { world, unit, grant, revoke } = await diskIsMade();
  const volumes = new Map(unit.volumes);
  unit.volumes.clear();
  unit.revision++;
  await world.heartbeat(unit, String(unit.revision));
  const task = await revoke();
  assert.match(wordsOf(task), /Not fenced yet: u1\. It happens at their return/);
  for (const [id, volume] of volumes) unit.volumes.set(id, volume);
  unit.revision++;
  await world.heartbeat(unit, String(unit.revision));
  await world.pass(2000);
  assert.equal(grant().state, "fenced");
  await world.end();
});
