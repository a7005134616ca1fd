import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

const MOVED = "192.0.2.99:10809";

Deno.test("a unit's new address and the maps that tell of it are kept together, or neither is", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 1))).task.id);
  const hostsAddresses = () => host.assignments.get(DISK)!.legs[0]!.addresses;
  assert.deepEqual(hostsAddresses(), unit!.hello.dataAddresses);

  // As where the station ends, or its file system is full, after the first of several commits.
  using catalog = new DatabaseSync(world.path("catalog-1.sqlite"));
  catalog.exec(
    "CREATE TRIGGER no_maps BEFORE INSERT ON disks BEGIN SELECT RAISE(ABORT, 'is full'); END",
  );
  Object.assign(unit!.hello, { dataAddresses: [MOVED] });
  await world.heartbeat(unit!, "");
  await world.pass(2000);
  assert.deepEqual(hostsAddresses(), ["192.0.2.7:10809"], "nothing could be kept of it");

  catalog.exec("DROP TRIGGER no_maps");
  catalog.close();
  await world.heartbeat(unit!, "");
  await world.pass(2000);
  assert.deepEqual(hostsAddresses(), [MOVED]);
  await world.end();
});
