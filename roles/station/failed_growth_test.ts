import assert from "node:assert/strict";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB, LEG_UNREACHABLE_MS_MAX } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import type { FakeUnit } from "./fake_unit_testing.ts";
import type { FakeHost, FakeWorld } from "./fake_world_testing.ts";

async function made(world: FakeWorld, host: FakeHost, gib: number): Promise<void> {
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", gib));
  assert.equal((await world.task(task.id)).state, "done");
}

function grow(world: FakeWorld, gib: number) {
  return world.station.api.growDisk("db", { sizeBytes: gib * GIB }, "ann");
}

function sizes(units: readonly FakeUnit[]): number[] {
  return units.flatMap(({ volumes }) => [...volumes.values()].map((held) => held.sizeBytes / GIB));
}

Deno.test("a disk of which a leg is broken is not grown, and no unit is asked to", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await made(world, host, 25);
  const broken = units.find((unit) => sizes([unit])[0]! < 10)!;
  const [leg] = [...broken.volumes.values()];
  broken.volumes.set(leg!.id, { ...leg!, state: "incomplete", reason: "a medium is missing" });
  broken.revision++;
  await world.heartbeat(broken, "changed");
  const before = sizes(units);
  const { error } = await world.task((await grow(world, 26)).id);
  assert.match(error?.message ?? "", /a medium is missing/);
  assert.deepEqual(sizes(units), before);
  assert.ok(!world.sent.some((text) => text.startsWith("VOLUME_RESIZE")));
  await world.end();
});

Deno.test("a growth that failed behind the unit's part of it gives its end back", async () => {
  const { world, units, host } = await smallPool([10]);
  await made(world, host, 4);
  const [unit] = units;
  unit!.refuse.set("ACCESS_GRANT", new DvsanError("io", "its label cannot be written"));
  const { error } = await world.task((await grow(world, 6)).id);
  assert.match(error?.message ?? "", /its label cannot be written/);
  await world.pass(6000);
  assert.deepEqual(sizes(units), [4]);
  assert.deepEqual(world.station.api.differences(), []);
  unit!.refuse.delete("ACCESS_GRANT");
  assert.equal((await world.task((await grow(world, 7)).id)).state, "done");
  assert.deepEqual(sizes(units), [7]);
  assert.equal(host.assignments.get(DISK)!.sizeBytes, 7 * GIB);
  await world.end();
});

Deno.test("an end that cannot be given back yet is shown, with what is waited for", async () => {
  const { world, units, host } = await smallPool([10]);
  await made(world, host, 4);
  const [unit] = units;
  unit!.zeroed = false;
  const task = await grow(world, 6);
  await world.pass(2000);
  assert.deepEqual(sizes(units), [6]);
  unit!.refuse.set("VOLUME_RESIZE", new DvsanError("fencing", "it takes long"));
  await world.station.api.cancelTask(task.id);
  await world.task(task.id);
  const [difference] = world.station.api.differences();
  assert.match(difference!.wanted, /^4 GiB on unit "u1"/);
  assert.match(difference!.held, /^6 GiB, zeroing/);
  assert.equal(difference!.will, "has its end given back");
  unit!.refuse.delete("VOLUME_RESIZE");
  await world.pass(30_000);
  unit!.finishZeroing();
  await world.pass(6000);
  assert.deepEqual([sizes(units), world.station.api.differences()], [[4], []]);
  await world.end();
});

Deno.test("a growth that a full catalog keeps from being taken back ends once it was", async () => {
  const { world, units, host } = await smallPool([10]);
  await made(world, host, 4);
  const [unit] = units;
  unit!.zeroed = false;
  const { id } = await grow(world, 6);
  await world.pass(2000);
  assert.deepEqual(sizes(units), [6]);
  world.spoil(
    "CREATE TRIGGER full BEFORE INSERT ON volumes " +
      "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
  );
  await world.station.api.cancelTask(id);
  await world.pass(6000);
  const { api } = world.station;
  assert.equal((await api.task(id)).state, "running", "it has not ended while it is half done");
  world.spoil("DROP TRIGGER full");
  assert.equal((await world.task(id)).state, "cancelled");
  unit!.finishZeroing();
  await world.pass(6000);
  assert.deepEqual([sizes(units), api.differences()], [[4], []]);
  assert.deepEqual(api.disks().map(({ sizeBytes }) => sizeBytes / GIB), [4]);
  await world.end();
});

Deno.test("a growth that was granted unheard is learned, though its task failed", async () => {
  const { world, units, host } = await smallPool([10]);
  await made(world, host, 4);
  world.fault = (_id, name) => {
    if (name !== "ACCESS_GRANT") return "deliver";
    world.cut(units[0]!);
    return "lose-answer";
  };
  const task = await grow(world, 6);
  assert.equal((await world.task(task.id, 2 * LEG_UNREACHABLE_MS_MAX)).state, "failed");
  assert.deepEqual(sizes(units), [6]);
  world.fault = () => "deliver";
  assert.equal(await world.join(units[0]!), null);
  await world.pass(6000);
  // A host may have been told by now, for all that labels know: nobody takes it away.
  assert.deepEqual([sizes(units), world.station.api.differences()], [[6], []]);
  assert.equal(host.assignments.get(DISK)!.sizeBytes, 6 * GIB);
  await world.end();
});

Deno.test("nothing comes behind a leg whose last growth was granted unheard", async () => {
  const { world, units, host } = await smallPool([10, 20]);
  await made(world, host, 4);
  const first = units.find((unit) => unit.volumes.size > 0)!;
  world.fault = (_id, name) => {
    if (name !== "ACCESS_GRANT") return "deliver";
    world.cut(first);
    return "lose-answer";
  };
  const lost = await grow(world, 8);
  const next = await grow(world, 27);
  assert.equal((await world.task(lost.id, 2 * LEG_UNREACHABLE_MS_MAX)).state, "failed");
  world.fault = () => "deliver";
  await world.pass(2000);
  assert.deepEqual(sizes(units), [8], "no other unit is asked meanwhile");
  assert.equal(await world.join(first), null);
  assert.equal((await world.task(next.id)).state, "done");
  assert.deepEqual(world.station.api.differences(), []);
  const legs = host.assignments.get(DISK)!.legs.map(({ sizeBytes }) => sizeBytes / GIB);
  assert.deepEqual(legs, [8, 19]);
  await world.end();
});

Deno.test("a catalog of before a growth takes nothing back of what was granted", async () => {
  const { world, units, host } = await smallPool([10]);
  await made(world, host, 4);
  const backup = await stopAndCopy(world);
  await world.start();
  for (const node of [...units, host]) assert.equal(await world.join(node), null);
  assert.equal((await world.task((await grow(world, 6)).id)).state, "done");
  await world.station.stop();
  restore(world, backup);
  await world.start();
  for (const node of [...units, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  const { api } = world.station;
  if (api.pool().state === "recovered") {
    await api.confirmRecovery(api.recovery().list, "ann");
    await world.pass(6000);
  }
  assert.deepEqual([sizes(units), api.differences()], [[6], []]);
  assert.equal(host.assignments.get(DISK)!.sizeBytes, 6 * GIB);
  assert.ok(!world.sent.slice(-20).some((text) => text.startsWith("VOLUME_DELETE")));
  await world.end();
});

Deno.test("a growth that was begun goes on after a start whose catalog is full, once there is room", async () => {
  const { world, units: [unit], host } = await smallPool([10]);
  await made(world, host, 4);
  unit!.refuse.set("ACCESS_GRANT", new DvsanError("timeout", "no answer"));
  await grow(world, 6);
  await world.pass(1000);
  assert.deepEqual(sizes([unit!]), [6]);
  // From the station's first commit on.
  const { files } = world;
  const set = files.set.bind(files);
  files.set = (name, bytes) => {
    world.spoil(
      "CREATE TEMP TRIGGER IF NOT EXISTS full BEFORE INSERT ON main.tasks " +
        "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END",
    );
    return set(name, bytes);
  };
  await world.crash();
  files.set = set;
  unit!.refuse.clear();
  for (const node of [unit!, host]) assert.equal(await world.join(node), null);
  await world.pass(6000);
  assert.equal(host.assignments.get(DISK)!.sizeBytes, 4 * GIB, "its task has not begun again");
  world.spoil("DROP TRIGGER full");
  await world.pass(20_000);
  assert.equal(host.assignments.get(DISK)!.sizeBytes, 6 * GIB);
  const [task] = await world.station.api.tasks({ limit: 1 });
  assert.deepEqual([task!.kind, task!.state], ["disk.grow", "done"]);
  assert.deepEqual(world.station.api.differences(), []);
  await world.end();
});
