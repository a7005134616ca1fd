import assert from "node:assert/strict";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

const GIB = 2 ** 30;

Deno.test("a host whose disk grows in recovered state is not told of a grant that its unit has yet to take", async () => {
  const { world, units: [unit], host } = await smallPool([30]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const away = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
  assert.equal((await world.task(away.task.id)).state, "done");
  world.fault = (_, name) => name === "ACCESS_GRANT" ? "lose-request" : "deliver";
  const back = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: false });
  await world.pass(2000);
  world.files.set("station.marks", utf8('{"epoch":9,"events":0}'));
  await world.crash();
  world.fault = () => "deliver";
  // The task that gives it back goes on, and ends: its unit is away.
  assert.equal(await world.join(host), null);
  assert.equal((await world.task(back.task.id)).state, "failed");
  assert.equal(await world.join(unit!), null);
  await world.pass(3000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  const volume = () => [...unit!.volumes.values()][0]!;
  const before = volume().grant?.generation;
  await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
  await world.pass(3000);
  assert.deepEqual(
    volume().grant?.generation,
    before,
    "nothing is granted before that is confirmed",
  );
  assert.equal(host.assignments.get(DISK)?.state, "direct");
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(20_000);
  const [leg] = host.assignments.get(DISK)?.legs ?? [];
  assert.deepEqual(leg?.generation, volume().grant?.generation);
  assert.notDeepEqual(leg?.generation, before);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
