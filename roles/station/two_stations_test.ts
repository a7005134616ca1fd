import assert from "node:assert/strict";
import { GIB } from "../../protocol/core/limits.ts";
import { seeded } from "../../storage/media/testing.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";
import { type FakeHost, FakeWorld } from "./fake_world_testing.ts";

const SEEDS = 6;
const STEPS = 14;

interface Both {
  /** The original and its clone; both run. */
  readonly worlds: readonly [FakeWorld, FakeWorld];
  readonly units: readonly FakeUnit[];
  readonly host: FakeHost;
}

/** A station with two disks, and a second one from a copy of its state directory. */
async function cloned(): Promise<Both> {
  const { world, units, host } = await smallPool([40, 40]);
  for (const [n, name] of ["one", "two"].entries()) {
    const { task } = await world.ask(host, "STORAGE_REQUEST", order(name, 2, diskId(n)));
    await world.task(task.id);
  }
  const copy = await stopAndCopy(world);
  const clone = new FakeWorld();
  await clone.start();
  await clone.station.stop();
  restore(clone, copy);
  const both = { worlds: [world, clone] as const, units, host };
  for (const each of both.worlds) {
    await each.start();
    await meet(both, each);
  }
  return both;
}

async function meet({ units, host }: Both, world: FakeWorld): Promise<void> {
  for (const node of [...units, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
}

function diskId(n: number): string {
  return `${String(n).padStart(8, "0")}-1111-4111-8111-111111111111`;
}

/** What an operator or the host asks of one of the two; refusals are as good. */
async function asks(both: Both, world: FakeWorld, chance: () => number): Promise<Set<string>> {
  const { host } = both;
  const n = Math.floor(chance() * 3);
  const id = diskId(n);
  const released = new Set<string>();
  const what = Math.floor(chance() * 6);
  try {
    if (what === 0) await world.ask(host, "STORAGE_REQUEST", order(`d${n}`, 1, id));
    if (what === 1) {
      const sizeBytes = (2 + Math.ceil(chance() * 4)) * GIB;
      await world.ask(host, "DISK_GROW", { diskId: id, sizeBytes });
    }
    if (what === 2) {
      await world.ask(host, "DISK_RELEASE", { diskId: id });
      released.add(id);
    }
    if (what === 3) await world.ask(host, "DISK_ACCESS", { diskId: id, direct: chance() < 0.5 });
    if (what === 4) {
      const { api } = world.station;
      await api.confirmRecovery(api.recovery().list, "admin");
    }
    if (what === 5) {
      for (const unit of both.units) await world.heartbeat(unit, `${unit.revision}`);
    }
  } catch (error) {
    assert.equal((error as Error).name, "DvsanError", String((error as Error).stack));
  }
  await world.pass(chance() < 0.3 ? 20_000 : 500);
  return released;
}

/** No generation or epoch of a unit ever falls; no volume goes that nobody released. */
function watch(units: readonly FakeUnit[]) {
  const seen = new Map<string, { readonly diskId: string; readonly generation: number }>();
  const epochs = new Map<string, number>();
  return (released: ReadonlySet<string>) => {
    for (const unit of units) {
      assert.ok(unit.epoch >= (epochs.get(unit.id) ?? 0), "an older station was obeyed");
      epochs.set(unit.id, unit.epoch);
      for (const [id, { leg, grant }] of unit.volumes) {
        const { epoch, counter } = grant?.generation ?? { epoch: 0, counter: 0 };
        const generation = epoch * 1e6 + counter;
        assert.ok(generation >= (seen.get(id)?.generation ?? 0), "an older grant was taken");
        seen.set(id, { diskId: leg.diskId, generation });
      }
    }
    const held = new Set(units.flatMap(({ volumes }) => [...volumes.keys()]));
    for (const [id, { diskId }] of seen) {
      assert.ok(held.has(id) || released.has(diskId), `volume ${id} is gone, unasked`);
      if (!held.has(id)) seen.delete(id);
    }
  };
}

/** One of the two is stopped for good, and the other restarted: all agree. */
async function settle(
  both: Both,
  { winner, loser, released }: {
    readonly winner: FakeWorld;
    readonly loser: FakeWorld;
    readonly released: ReadonlySet<string>;
  },
): Promise<void> {
  await loser.end();
  await winner.station.stop();
  await winner.start();
  await meet(both, winner);
  const { api } = winner.station;
  for (let turn = 0; turn < 12 && (turn < 6 || api.differences().length > 0); turn++) {
    if (api.pool().state === "recovered") {
      await api.confirmRecovery(api.recovery().list, "admin").catch(() => {});
    }
    for (const unit of both.units) await winner.heartbeat(unit, `${unit.revision}`);
    await winner.heartbeat(both.host, both.host.digest, heldBy(both.host));
    // What was released by way of the other is shown as gone; an operator has it released here too.
    for (const { id } of api.disks()) {
      if (turn > 2 && released.has(id)) await api.releaseDisk(id, "admin").catch(() => {});
    }
    await winner.pass(70_000);
  }
  assert.equal(api.pool().state, "normal");
  assert.deepEqual(api.differences(), []);
  for (const disk of api.disks()) {
    const told = both.host.assignments.get(disk.id);
    assert.equal(told?.version, disk.version, `disk ${disk.name}`);
    for (const { volumeId, generation } of told.legs) {
      const held = both.units.flatMap(({ volumes }) => volumes.get(volumeId) ?? []);
      assert.deepEqual(held.map(({ grant }) => [grant?.state, grant?.generation]), [
        ["active", generation],
      ]);
    }
  }
  await winner.end();
}

function heldBy({ assignments }: FakeHost) {
  return [...assignments.values()].map(({ diskId, name, version, legs }) => ({
    diskId,
    name,
    version,
    legs: legs.map(({ leg, volumeId, unitId }) => ({ leg, volumeId, unitId })),
  }));
}

for (let seed = 1; seed <= SEEDS; seed++) {
  Deno.test(`a station and its clone, asked by turns, destroy nothing: one of them is left and all agree (seed ${seed})`, async () => {
    const both = await cloned();
    const chance = seeded(seed);
    const check = watch(both.units);
    const released = new Set<string>();
    for (let step = 0; step < STEPS; step++) {
      const world = both.worlds[chance() < 0.5 ? 0 : 1];
      for (const id of await asks(both, world, chance)) released.add(id);
      check(released);
    }
    const [winner, loser] = chance() < 0.5 ? both.worlds : both.worlds.toReversed();
    await settle(both, { winner: winner!, loser: loser!, released });
    check(released);
  });
}
