import assert from "node:assert/strict";
import { GIB } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeHost } from "./fake_world_testing.ts";

function held(host: FakeHost) {
  return [...host.assignments.values()].map(({ diskId, name, version, legs }) => {
    const told = legs.map(({ leg, unitId, volumeId }) => ({ leg, unitId, volumeId }));
    return { diskId, name, version, legs: told };
  });
}

/**
 * A disk of one leg grows by one on another unit; then the catalog of before is restored, and the
 * units that are there show nothing of what was between.
 */
async function grownAndRestored() {
  const { world, units, host } = await smallPool([5, 20, 21]);
  const [u1, u2, u3] = units;
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 3));
  assert.equal((await world.task(task.id)).state, "done");
  const first = host.assignments.get(DISK)!;
  const before = await stopAndCopy(world);
  const obeyed = units.map(({ epoch, instance }) => ({ epoch, instance }));
  await world.start();
  for (const node of [...units, host]) await world.join(node);
  const grow = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 8 * GIB });
  assert.equal((await world.task(grow.task.id)).state, "done");
  const told = host.assignments.get(DISK)!;
  assert.equal(told.legs.length, 2);
  const away = units.find(({ id }) => id === told.legs[1]!.unitId)!;
  assert.notEqual(away.id, first.legs[0]!.unitId);
  await world.station.stop();
  units.forEach((unit, index) => Object.assign(unit, obeyed[index]));
  // Its first leg's label was not written again, either.
  for (const { volumes } of units) {
    for (const [id, volume] of volumes) {
      const { leg } = volume;
      if (leg.leg === 0) volumes.set(id, { ...volume, leg: { ...leg, legs: 1 } });
    }
  }
  restore(world, before);
  await world.start();
  const there = [u1!, u2!, u3!].filter((unit) => unit !== away);
  for (const unit of there) await world.join(unit);
  await world.pass(60_000);
  return { world, host, away, there, told };
}

Deno.test("a disk that an old catalog grew by another leg than its host has is uncertain, and its host keeps its map", async () => {
  const { world, host, away, told } = await grownAndRestored();
  const { api } = world.station;
  assert.equal(api.pool().state, "normal", "nobody shows that the catalog is behind");
  const again = await api.growDisk("db", { sizeBytes: 8 * GIB }, "admin");
  assert.equal((await world.task(again.id)).state, "done");
  const grown = api.disks()[0]!;
  assert.equal(grown.version, told.version, "the version of which the host has another map");
  await world.join(host);
  for (let round = 0; round < 3; round++) {
    await world.heartbeat(host, host.digest, held(host));
    await world.pass(6000);
  }
  assert.deepEqual(host.assignments.get(DISK)!.legs, told.legs);
  const [difference] = api.differences();
  assert.match(
    difference!.held,
    /uncertain: its host uses volume .* of unit "u\d" as leg 1, which/,
  );
  await assert.rejects(() => api.growDisk("db", { sizeBytes: 12 * GIB }, "admin"), /is uncertain/);
  const events = await api.events({ after: 0, limit: 100 });
  assert.match(events.find(({ kind }) => kind === "disk.behind")!.text, /goes on with that/);
  // Nothing of the leg that it uses is touched when its unit is back.
  await world.join(away);
  await world.pass(60_000);
  assert.equal(away.volumes.get(told.legs[1]!.volumeId)?.grant?.state, "active");
  assert.deepEqual(host.assignments.get(DISK)!.legs, told.legs);
  await world.end();
});

Deno.test("a leg's place goes back to the volume that its host uses, once its unit is back and an operator confirms", async () => {
  const { world, host, away, there, told } = await grownAndRestored();
  const { api } = world.station;
  const used = told.legs[1]!.volumeId;
  await world.task((await api.growDisk("db", { sizeBytes: 8 * GIB }, "admin")).id);
  const nodes = [...there, away];
  const made = () => nodes.flatMap(({ volumes }) => [...volumes.keys()]).sort();
  await world.join(away);
  await world.pass(3000);
  const before = made();
  assert.equal(before.length, 3, "another volume has the place of the one that is used");
  // Nobody is told of it under another name before its host has said what it uses.
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.join(host);
  await world.pass(30_000);
  assert.deepEqual([...host.assignments.values()], [told]);
  const stale = api.differences().find(({ subject }) => subject.includes("adopted-"))!;
  assert.match(stale.held, /its label is that of leg 1 of disk "db", as which the catalog has/);
  for (let round = 0; round < 4; round++) {
    await world.heartbeat(host, host.digest, held(host));
    await world.pass(6000);
  }
  const now = host.assignments.get(DISK)!;
  assert.deepEqual(now.legs, told.legs, "nothing of its data is elsewhere");
  assert.ok(now.version > told.version);
  const events = await api.events({ after: 0, limit: 500 });
  assert.match(events.find(({ kind }) => kind === "disk.exchanged")!.text, /Release it if it is/);
  const names = api.disks().map(({ name }) => name).sort();
  const rival = before.find((id) => id !== used && !told.legs.some((leg) => leg.volumeId === id))!;
  assert.deepEqual(names, [`adopted-${rival.slice(0, 8)}`, "db"]);
  assert.deepEqual(api.differences(), []);
  assert.deepEqual(made(), before, "nothing is deleted");
  assert.equal(away.volumes.get(used)?.grant?.state, "active");
  // And the way to be rid of what was made in its place.
  await world.task((await api.releaseDisk(names[0]!, "ann")).id);
  assert.deepEqual(made(), before.filter((id) => id !== rival));
  assert.deepEqual([...host.assignments.values()], [now]);
  await world.end();
});

Deno.test("an operator is shown that a leg's place goes back, and it does so at the confirmation", async () => {
  const { world, host, away, told } = await grownAndRestored();
  const { api } = world.station;
  await world.task((await api.growDisk("db", { sizeBytes: 8 * GIB }, "admin")).id);
  await world.join(away);
  await world.join(host);
  for (let round = 0; round < 2; round++) {
    await world.heartbeat(host, host.digest, held(host));
    await world.pass(6000);
  }
  const view = api.recovery();
  const shown = view.differences.filter(({ kind }) => kind === "disk");
  assert.equal(shown.length, 2);
  for (const { will, onConfirm } of shown) {
    assert.match(`${onConfirm}`, /as leg 1 of "db" again, as its host does, .* nothing is deleted/);
    assert.equal(will, "nothing by itself");
  }
  await api.confirmRecovery(view.list, "ann");
  await world.pass(6000);
  assert.deepEqual(host.assignments.get(DISK)!.legs, told.legs);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a host that has a leg more than an old catalog keeps it, and is told anew once it was seen", async () => {
  const { world, host, away, told } = await grownAndRestored();
  const { api } = world.station;
  await world.join(host);
  await world.heartbeat(host, host.digest, held(host));
  await world.pass(60_000);
  assert.deepEqual(host.assignments.get(DISK)!.legs, told.legs);
  assert.match(api.differences()[0]!.held, /uncertain: its host uses volume/);
  await world.join(away);
  await world.pass(6000);
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.heartbeat(host, host.digest, held(host));
  await world.pass(60_000);
  const now = host.assignments.get(DISK)!;
  assert.ok(now.version > told.version);
  assert.deepEqual(now.legs, told.legs);
  assert.deepEqual(api.differences(), []);
  await world.end();
});
