import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { TOMBSTONES_DONE_MAX } from "../../protocol/core/limits.ts";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import type { TombstoneRow } from "./catalog/rows.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeWorld } from "./fake_world_testing.ts";
import { planVolume } from "./plan.ts";
import { oldTombstones } from "./tombstones.ts";

function tombstone(n: number, done: number): [string, TombstoneRow] {
  const volumeId = `aaaaaaaa-0000-4000-8000-${String(n).padStart(12, "0")}`;
  return [volumeId, { volumeId, createdMs: n, done } as TombstoneRow];
}

function removed(rows: readonly [string, TombstoneRow][], keptMax: number): number[] {
  return oldTombstones(new Map(rows), keptMax).map((change) => {
    assert.ok("remove" in change && change.table === "tombstones");
    return Number(String(change.remove).slice(-12));
  });
}

Deno.test("the oldest tombstones beyond the bound go, and none that is not done", () => {
  const rows = [5, 3, 1, 4, 2].map((n) => tombstone(n, n === 1 ? 0 : 1));
  assert.deepEqual(removed(rows, 5), []);
  assert.deepEqual(removed(rows, 3), [2]);
  assert.deepEqual(removed(rows, 1), [2, 3, 4]);
  assert.deepEqual(removed(rows, 0), [2, 3, 4, 5]);
  assert.deepEqual(removed([1, 2, 3].map((n) => tombstone(n, 0)), 1), []);
});

Deno.test("ten thousand tombstones that are done are kept, and the oldest make room for new ones", async () => {
  const { world, units: [unit, away], host } = await smallPool([10, 10]);
  await world.station.stop();
  const rows = Array.from({ length: TOMBSTONES_DONE_MAX }, (_, n) => tombstone(n, 1)[1]);
  // One that a unit has yet to act on, which is away, is older than all, and stays.
  rows.push({ ...tombstone(TOMBSTONES_DONE_MAX, 0)[1], createdMs: -1 });
  inCatalog(world, (catalog) => {
    const put = catalog.prepare(
      "INSERT INTO tombstones (volumeId, unitId, diskId, epoch, counter, knownEpoch, " +
        "knownCounter, done, reason, createdMs) VALUES (?, ?, ?, 1, 1, 0, 0, ?, 'released', ?)",
    );
    catalog.exec("BEGIN");
    // As a catalog of before checksums: these records are in no sum.
    catalog.exec("DELETE FROM meta WHERE key = 'content'");
    for (const { volumeId, done, createdMs } of rows) {
      put.run(volumeId, done === 1 ? unit!.id : away!.id, DISK, done, createdMs);
    }
    catalog.exec("COMMIT");
  });
  await world.start();
  for (const node of [unit!, host]) await world.join(node);
  // So long is the other one waited for.
  await world.pass(10_000);
  for (const diskId of [DISK, DISK.replace("1", "2")]) {
    const made = (await world.ask(host, "STORAGE_REQUEST", order("db", 1, diskId))).task;
    assert.equal((await world.task(made.id)).state, "done");
    const released = (await world.ask(host, "DISK_RELEASE", { diskId })).task;
    assert.equal((await world.task(released.id)).state, "done");
  }
  await world.pass(3000);
  await world.station.stop();
  inCatalog(world, (catalog) => {
    const { count, oldest } = catalog.prepare(
      "SELECT count(*) AS count, min(createdMs) AS oldest FROM tombstones WHERE done = 1",
    ).get()!;
    assert.deepEqual([count, oldest], [TOMBSTONES_DONE_MAX, 2]);
    const waiting = catalog.prepare("SELECT createdMs FROM tombstones WHERE done = 0").all();
    assert.deepEqual(waiting.map(({ createdMs }) => createdMs), [-1]);
  });
  await world.start();
  await world.end();
});

function inCatalog(world: FakeWorld, run: (catalog: DatabaseSync) => void): void {
  const catalog = new DatabaseSync(world.path("catalog-1.sqlite"));
  try {
    run(catalog);
  } finally {
    catalog.close();
  }
}

Deno.test("a volume whose tombstone was forgotten is adopted when it comes back", () => {
  const held = { id: "v", number: 1, grant: null, state: "ready" } as unknown as VolumeInfo;
  const { step, destroys } = planVolume({
    unitId: "u",
    volume: null,
    grant: null,
    tombstone: null,
    held,
    heldAtHome: null,
    legs: 0,
    mayChangeLength: false,
    isRebuilt: false,
    isInUse: true,
    isPutBack: false,
    destroysNothing: false,
  });
  assert.deepEqual([step?.kind, destroys], ["adopt", false]);
});
