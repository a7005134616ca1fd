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

Deno.test("a file that could not be named surely is not the one that the next start takes", async () => {
  const { world } = await smallPool([10]);
  const { api } = world.station;
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
