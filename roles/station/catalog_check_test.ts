import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { order, smallPool } from "./fake_pool_testing.ts";

Deno.test("events and task logs that are not what was written are named, and left out anew", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  unit!.refuse.set("VOLUME_CREATE", new DvsanError("io", "the medium is out"));
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  // Why it failed stands in its log.
  assert.equal((await world.task(task.id)).state, "failed");
  const { api } = world.station;
  assert.equal((await api.checkCatalog()).isSound, true);
  const before = await api.events({ after: 0, limit: 100 });
  world.spoil("UPDATE events SET atMs = atMs + 1 WHERE number = 2");
  world.spoil("UPDATE taskLogs SET text = text || '?'");
  const { findings } = await api.checkCatalog();
  assert.ok(findings.includes("events 2: its checksum is wrong"), findings.join("\n"));
  assert.match(findings.join("\n"), /taskLogs .*, line 0: its checksum is wrong/);
  assert.equal((await api.repairCatalog("ann")).isSound, true);
  const after = await api.events({ after: 0, limit: 100 });
  const kept = before.filter(({ number }) => number !== 2);
  assert.deepEqual(after.slice(0, kept.length), kept);
  assert.equal((await api.checkCatalog()).isSound, true);
  await world.end();
});

Deno.test("a station that starts tells of damage to what it did not need, and goes on", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const told = async () =>
    (await world.station.api.events({ after: 0, limit: 100 }))
      .filter(({ kind }) => kind === "catalog.damaged").map(({ text }) => text);
  await world.crash();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.pass(1000);
  assert.deepEqual(await told(), []);
  world.spoil("UPDATE events SET atMs = atMs + 1 WHERE number = 2");
  await world.crash();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.pass(1000);
  const [text] = await told();
  assert.match(text ?? "", /events 2: its checksum is wrong.*dvsan ctl check --repair/);
  assert.equal(world.station.api.pool().state, "normal");
  await world.end();
});

Deno.test("a file that could not be named surely is not the one that the next start takes", async () => {
  const { world } = await smallPool([10]);
  const { api } = world.station;
  assert.equal((await api.checkCatalog()).isSound, true);
  world.spoil("UPDATE events SET atMs = atMs + 1 WHERE number = 2");
  const { set } = world.files;
  world.files.set = (name, bytes) => {
    set.call(world.files, name, bytes);
    // Its new name is there, and nobody can say whether it is after a power cut.
    if (name !== "catalog.current") return world.files;
    world.files.set = set;
    throw new DvsanError("io", "Cannot write catalog.current: the directory cannot be synced");
  };
  await assert.rejects(api.repairCatalog("ann"), /cannot be synced/);
  const { file } = await api.checkCatalog();
  assert.match(file, /catalog-1.sqlite$/);
  await world.crash();
  assert.equal((await world.station.api.checkCatalog()).file, file);
  await world.end();
});

Deno.test("what is damaged in the file beneath a running station is found, and mended from memory", async () => {
  const { world, host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.station.stop();
  await world.start();
  const { api } = world.station;
  assert.equal((await api.checkCatalog()).isSound, true);
  const path = world.path("catalog-1.sqlite");
  const bytes = Deno.readFileSync(path);
  using file = Deno.openSync(path, { write: true });
  // All but the header's page and the schema's.
  for (let at = 2 * 4096; at < bytes.length; at += 512) {
    file.seekSync(at, Deno.SeekMode.Start);
    file.writeSync(bytes.subarray(at, at + 1).map((byte) => byte ^ 0x40));
  }
  assert.equal((await api.checkCatalog()).isSound, false);
  const repaired = await api.repairCatalog("ann");
  assert.deepEqual([repaired.isSound, repaired.file], [true, world.path("catalog-2.sqlite")]);
  await world.station.stop();
  await world.start();
  assert.equal(world.station.api.pool().state, "normal");
  assert.deepEqual(world.station.api.disks().map(({ name }) => name), ["db"]);
  await world.end();
});
