import assert from "node:assert/strict";
import { GIB } from "../../protocol/core/limits.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";

/** Crashes the station at its n-th request, for every n that occurs, and looks at the end. */
async function crashEverywhere(
  prepare: (pool: Awaited<ReturnType<typeof smallPool>>) => Promise<void>,
  act: (pool: Awaited<ReturnType<typeof smallPool>>) => Promise<string>,
  check: (pool: Awaited<ReturnType<typeof smallPool>>) => void,
): Promise<number> {
  for (let crashAt = 1;; crashAt++) {
    const pool = await smallPool([10, 20]);
    const { world, units, host } = pool;
    await prepare(pool);
    let requests = 0;
    world.fault = () =>
      ++requests === crashAt ? "lose-answer" : requests > crashAt ? "lose-request" : "deliver";
    const taskId = await act(pool);
    for (let turn = 0; turn < 8 && requests < crashAt; turn++) await world.pass(500);
    const happened = requests >= crashAt;
    world.fault = () => "deliver";
    await world.crash();
    for (const node of [...units, host]) await world.join(node);
    const task = await world.task(taskId);
    assert.equal(task.state, "done", `crash at request ${crashAt}: ${task.step}`);
    await world.pass(2000);
    check(pool);
    await world.end();
    if (!happened) return crashAt - 1;
  }
}

const nothing = () => Promise.resolve();

Deno.test("a crash of the station at any step of a create is made good", async () => {
  const steps = await crashEverywhere(
    nothing,
    async ({ world, host }) => (await world.ask(host, "STORAGE_REQUEST", order("big", 25))).task.id,
    ({ units, host }) => {
      assert.deepEqual(units.map((unit) => unit.volumes.size), [1, 1]);
      assert.equal(host.assignments.get(DISK)!.sizeBytes, 25 * GIB);
    },
  );
  assert.ok(steps >= 5, `${steps} steps`);
});

Deno.test("a crash of the station at any step of a grow is made good", async () => {
  await crashEverywhere(
    async ({ world, host }) => {
      await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
    },
    async ({ world, host }) =>
      (await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 22 * GIB })).task.id,
    ({ units, host }) => {
      assert.deepEqual(units.map((unit) => unit.volumes.size), [1, 1]);
      assert.equal(host.assignments.get(DISK)!.sizeBytes, 22 * GIB);
    },
  );
});

Deno.test("a crash of the station at any step of a release is made good", async () => {
  await crashEverywhere(
    async ({ world, host }) => {
      await world.task((await world.ask(host, "STORAGE_REQUEST", order("big", 25))).task.id);
    },
    async ({ world, host }) => (await world.ask(host, "DISK_RELEASE", { diskId: DISK })).task.id,
    ({ units, host, world }) => {
      assert.deepEqual(units.map((unit) => unit.volumes.size), [0, 0]);
      assert.equal(host.assignments.size, 0);
      assert.deepEqual(world.station.api.disks(), []);
    },
  );
});
