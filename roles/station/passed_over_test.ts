import assert from "node:assert/strict";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

Deno.test("a unit whose volume was passed over, since another unit was told of it, is looked at again", async () => {
  const { world, units, host } = await smallPool([20, 20]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 3))).task.id);
  const home = units.find(({ volumes }) => volumes.size > 0)!;
  const other = units.find((unit) => unit !== home)!;
  const [volume] = [...home.volumes.values()];
  const fenced = Promise.withResolvers<void>();
  const answer = other.answer.bind(other);
  const asked: string[] = [];
  other.answer = async (name, body) => {
    asked.push(name);
    if (name === "ACCESS_REVOKE") await fenced.promise;
    return await answer(name, body);
  };
  // A copy that lets the host in: it is to be fenced, which takes its time.
  other.volumes.set(volume!.id, volume!);
  other.revision++;
  await world.heartbeat(other, String(other.revision));
  await world.pass(1000);
  assert.ok(asked.includes("ACCESS_REVOKE"));
  const { task } = await world.ask(host, "DISK_RELEASE", { diskId: DISK });
  await world.pass(1000);
  assert.equal(home.volumes.size, 1, "one thing at a time is done about a volume");
  fenced.resolve();
  await world.pass(1000);
  assert.equal(home.volumes.size, 0);
  assert.equal((await world.task(task.id)).state, "done");
  await world.end();
});
