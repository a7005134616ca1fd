import assert from "node:assert/strict";
import { order, smallPool } from "./fake_pool_testing.ts";

const OTHER = "99999999-9999-4999-8999-999999999999";

Deno.test("what a revoked unit told last is no debt for ever, and its space is nobody's", async () => {
  const { world, units: [unit, left], host } = await smallPool([10, 30]);
  const { api } = world.station;
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("before", 4))).task.id);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("after", 4, OTHER))).task.id);
  assert.deepEqual([unit!.volumes.size, left!.volumes.size], [2, 0]);
  const info = unit!.info.bind(unit);
  unit!.info = () => {
    const [own] = info().media;
    return { ...info(), media: [own!, { ...own!, id: OTHER, path: "/odd", state: "foreign" }] };
  };
  unit!.revision++;
  await world.heartbeat(unit!, String(unit!.revision));
  await world.pass(1000);
  const sizeBytes = api.units()[1]!.sizeBytes;
  world.cut(unit!);
  await api.releaseDisk("before", "admin");
  await world.pass(1000);
  await world.task((await api.revokeNode("u1", "admin")).id);
  const release = await world.task((await api.releaseDisk("after", "admin")).id);
  const log = release.log.map(({ text }) => text).join("\n");
  assert.match(log, /"u1" was revoked: .*adopts/);
  assert.doesNotMatch(log, /cannot be reached/);
  assert.deepEqual(api.differences(), []);
  assert.deepEqual(api.volumes(), []);
  const pool = api.pool();
  assert.deepEqual([pool.units, pool.unitsOnline, pool.sizeBytes], [1, 1, sizeBytes]);
  await world.end();
});
