import assert from "node:assert/strict";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

const WORDS = /lacks the last of what was written to it \(\d+ commits\)/;

Deno.test("a catalog that lost its last commits, of the station's last run, says so", async () => {
  const { world, units, host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(6000);
  const file = world.path("catalog-1.sqlite");
  world.spoil(`VACUUM INTO '${file}.before'`);
  await world.task((await world.ask(host, "DISK_RELEASE", { diskId: DISK })).task.id);
  assert.equal(units[0]!.volumes.size, 0);
  await world.station.stop();
  Deno.copyFileSync(`${file}.before`, file);
  await world.start();
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.match(api.recovery().reasons.join(), WORDS);
  for (const node of [...units, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const { list, differences } = api.recovery();
  assert.match(differences.map(({ held }) => held).join(), /nothing of it/);
  await api.confirmRecovery(list, "ann");
  // Whoever released it does so again.
  const { log } = await world.task((await api.releaseDisk("db", "ann")).id);
  const told =
    /"h1" did not detach \(it is told once that is done, since unit "u1" does not hold leg 0/;
  assert.match(log.map(({ text }) => text).join(), told);
  await world.pass(6000);
  assert.deepEqual(api.differences(), []);
  await world.crash();
  assert.equal(world.station.api.pool().state, "normal");
  await world.end();
});

Deno.test("a damaged catalog is not said to lack commits besides, and goes on counting", async () => {
  const { world, host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(6000);
  world.spoil("UPDATE volumes SET number = number + 1");
  const marks = () => JSON.parse(new TextDecoder().decode(world.files.get("station.marks")));
  const { commits } = marks();
  assert.ok(commits > 0);
  await world.crash();
  const { reasons } = world.station.api.recovery();
  assert.equal(reasons.length, 1, reasons.join("\n"));
  assert.match(reasons[0]!, /could not be used/);
  assert.ok(marks().commits > commits);
  await world.crash();
  assert.deepEqual(world.station.api.recovery().reasons, reasons);
  await world.end();
});
