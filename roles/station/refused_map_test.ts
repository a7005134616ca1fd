import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { order, smallPool } from "./fake_pool_testing.ts";

Deno.test("why a host does not take a map is shown as long as it does not", async () => {
  const { world, host } = await smallPool([10]);
  const answer = host.answer.bind(host);
  host.answer = () => Promise.reject(new DvsanError("io", "Cannot write disks.json: it is full."));
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const { api } = world.station;
  await world.pass(3000);
  const [shown, ...more] = api.differences();
  assert.deepEqual(more, []);
  assert.equal(shown!.will, "tells the host");
  assert.equal(shown!.waits, "the last try: Cannot write disks.json: it is full.");
  host.answer = answer;
  await world.pass(60_000);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
