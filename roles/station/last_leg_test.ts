import assert from "node:assert/strict";
import { GIB, LEGS_PER_DISK_MAX } from "../../protocol/core/limits.ts";
import { order, smallPool } from "./fake_pool_testing.ts";
import { FakeUnit } from "./fake_unit_testing.ts";
import type { FakeHost } from "./fake_world_testing.ts";

const RIVAL = "22222222-2222-4222-8222-222222222222";

function held({ assignments }: FakeHost) {
  return [...assignments.values()].map(({ diskId, name, version, legs }) => {
    const told = legs.map(({ leg, unitId, volumeId }) => ({ leg, unitId, volumeId }));
    return { diskId, name, version, legs: told };
  });
}

Deno.test("a disk made of a last leg alone grows where that is, and by no leg that nobody can be told of", async () => {
  const { world, units, host } = await smallPool(Array(LEGS_PER_DISK_MAX).fill(2));
  const { api } = world.station;
  const made = await world.ask(host, "STORAGE_REQUEST", order("db", 31));
  assert.equal((await world.task(made.task.id)).state, "done");
  const last = units.flatMap(({ volumes }) => [...volumes.values()])
    .find(({ leg }) => leg.leg === LEGS_PER_DISK_MAX - 1)!;
  // As a restored catalog leaves it behind: another volume for the same place.
  const late = new FakeUnit("late", { seed: 50, gib: 3 });
  late.volumes.set(RIVAL, { ...structuredClone(last), id: RIVAL });
  const empty = new FakeUnit("empty", { seed: 51, gib: 20 });
  for (const unit of [late, empty]) assert.equal(await world.join(unit), null);
  await world.pass(6000);
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.heartbeat(host, host.digest, held(host));
  await world.pass(6000);
  const name = `adopted-${RIVAL.slice(0, 8)}`;
  const grown = await world.task((await api.growDisk(name, { sizeBytes: 2 * GIB }, "ann")).id);
  assert.equal(grown.state, "done");
  await assert.rejects(
    () => api.growDisk(name, { sizeBytes: 8 * GIB }, "ann"),
    /its last leg is leg 15, the last .* "late" has room for 10\d\d MiB more\. Add a medium to/,
  );
  assert.equal(empty.volumes.size, 0);
  assert.deepEqual(api.differences(), []);
  const disks = [...host.assignments.values()].map(({ legs }) => legs.map(({ leg }) => leg));
  assert.deepEqual(disks, [[...Array(LEGS_PER_DISK_MAX).keys()], [LEGS_PER_DISK_MAX - 1]]);
  await world.end();
});
