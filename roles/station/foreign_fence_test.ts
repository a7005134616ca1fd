import assert from "node:assert/strict";
import type { Generation } from "../../protocol/config/bodies.ts";
import { FINISH_AGAIN_MS } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";
import type { FakeWorld } from "./fake_world_testing.ts";

async function diskIsMade() {
  const { world, units: [unit], host } = await smallPool([10]);
  await world.task((await world.ask(host, "STORAGE_REQUEST", order("db", 4))).task.id);
  const grant = () => [...unit!.volumes.values()][0]!.grant!;
  return { world, unit: unit!, host, grant };
}

/** As a label tells it of a fence that this station had no part in. */
async function fenced(world: FakeWorld, unit: FakeUnit, fencedThrough: Generation): Promise<void> {
  const [volume] = [...unit.volumes.values()];
  const grant = { ...volume!.grant!, state: "fenced" as const, fencedThrough };
  unit.volumes.set(volume!.id, { ...volume!, grant });
  unit.revision++;
  await world.heartbeat(unit, String(unit.revision));
  await world.pass(2 * FINISH_AGAIN_MS);
}

Deno.test("a volume that a station of a far higher epoch fenced is granted again above that", async () => {
  const { world, unit, host, grant } = await diskIsMade();
  // It came with a medium that was carried here: the unit itself never obeyed that station.
  await fenced(world, unit, { epoch: 9, counter: 5 });
  const { api } = world.station;
  assert.match(api.recovery().reasons.join(), /fenced through 9\.5, by a station of a later epoch/);
  const [shown] = api.recovery().differences.filter(({ kind }) => kind === "volume");
  assert.equal(shown!.onConfirm, "is granted to its host again");
  assert.equal(grant().state, "fenced");
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(2 * FINISH_AGAIN_MS);
  assert.deepEqual(api.differences(), []);
  assert.deepEqual([grant().state, grant().generation.epoch], ["active", 10]);
  assert.equal(host.assignments.get(DISK)!.legs[0]!.generation.epoch, 10);
  await world.end();
});

Deno.test("a generation that another station has fenced is not asked for for ever", async () => {
  const { world, unit, host, grant } = await diskIsMade();
  const backup = await stopAndCopy(world);
  await world.start();
  for (const node of [unit, host]) await world.join(node);
  await world.task((await world.station.api.revokeNode("h1", "ann")).id);
  const { fencedThrough } = grant();
  assert.equal(fencedThrough?.epoch, 2);
  await world.station.stop();
  // Of the same epoch, and it gives the generation that the other had fenced.
  restore(world, backup);
  await world.start();
  await world.join(host);
  const { task } = await world.ask(host, "DISK_ACCESS", { diskId: DISK, direct: true });
  await world.pass(100);
  await world.join(unit);
  await world.pass(2 * FINISH_AGAIN_MS);
  const { api } = world.station;
  assert.equal(api.pool().state, "recovered");
  assert.equal(grant().state, "fenced");
  const { state, error } = await world.task(task.id);
  assert.deepEqual([state, error?.code], ["failed", "busy"]);
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(3 * FINISH_AGAIN_MS);
  assert.deepEqual(api.differences(), []);
  assert.equal(grant().state, "active");
  await world.end();
});
