import assert from "node:assert/strict";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

Deno.test("an order to delete that is under way is withdrawn when a unit shows that the catalog is old", async () => {
  const { world, units: [one, other], host } = await smallPool([10, 20]);
  const unit = [one!, other!];
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  await world.pass(2000);
  const holds = unit.find(({ volumes }) => volumes.size === 1)!;
  const shows = unit.find(({ volumes }) => volumes.size === 0)!;
  // Its answers do not come: the request is repeated for as long as it may.
  const answer = holds.answer.bind(holds);
  let asked = 0;
  holds.answer = (name, body) => {
    if (name !== "ACCESS_REVOKE") return answer(name, body);
    asked++;
    return new Promise(() => {});
  };
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(3000);
  assert.equal(asked, 1);
  assert.equal(world.station.api.pool().state, "normal");
  shows.epoch += 5;
  shows.revision++;
  await world.heartbeat(shows, String(shows.revision));
  await world.pass(5000);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.equal((await world.task(task.id)).state, "done");
  // The one that was under way is over, or nothing could be asked for again once that is confirmed.
  holds.answer = answer;
  assert.equal([...holds.volumes.values()][0]?.grant?.state, "active");
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(5000);
  assert.equal(holds.volumes.size, 0);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
