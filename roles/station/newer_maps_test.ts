import assert from "node:assert/strict";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { GIB, MAP_FOLLOWED_MS_MIN } from "../../protocol/core/limits.ts";
import { restore, stopAndCopy } from "./fake_backup_testing.ts";
import { DISK, order, smallPool } from "./fake_pool_testing.ts";
import { FakeHost } from "./fake_world_testing.ts";

/**
 * A station whose whole directory was restored, while its host was told newer maps and no unit
 * anything: nothing but the host shows it.
 */
async function hostIsAhead(versions: number) {
  const { world, units, host } = await smallPool();
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  const backup = await stopAndCopy(world);
  const told = host.assignments.get(DISK)!;
  const ahead = told.version + versions;
  host.assignments.set(DISK, { ...told, version: ahead });
  restore(world, backup);
  await world.start();
  for (const node of [...units, host]) await world.join(node);
  await world.pass(6000);
  assert.equal(world.station.api.pool().state, "normal");
  return { world, units, host, ahead };
}

/** As a host whose digest was answered with another one. */
function held(host: FakeHost) {
  return [...host.assignments.values()].map(({ diskId, name, version }) => {
    return { diskId, name, version, legs: [] };
  });
}

for (const versions of [3, 2 ** 30]) {
  Deno.test(`a host that holds a map ${versions} versions newer than the catalog is told above it`, async () => {
    const { world, host, ahead } = await hostIsAhead(versions);
    await world.heartbeat(host, host.digest, held(host));
    await world.pass(6000);
    assert.ok(host.assignments.get(DISK)!.version > ahead);
    const grow = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
    assert.equal((await world.task(grow.task.id)).state, "done");
    assert.equal(host.assignments.get(DISK)!.sizeBytes, 6 * GIB);
    assert.deepEqual(world.station.api.differences(), []);
    const events = await world.station.api.events({ after: 0, limit: 100 });
    assert.match(events.find(({ kind }) => kind === "disk.behind")!.text, /holds map version/);
    await world.end();
  });
}

Deno.test("a host is told of a change at once, also when its map is newer than the catalog's", async () => {
  const { world, host } = await hostIsAhead(3);
  const grow = await world.ask(host, "DISK_GROW", { diskId: DISK, sizeBytes: 6 * GIB });
  assert.equal((await world.task(grow.task.id)).state, "done");
  await world.pass(6000);
  assert.equal(host.assignments.get(DISK)!.sizeBytes, 6 * GIB);
  await world.end();
});

Deno.test("a released disk is forgotten by a host whose map is newer than the catalog's", async () => {
  const { world, units, host } = await hostIsAhead(3);
  await world.task((await world.station.api.releaseDisk("db", "admin")).id);
  await world.pass(6000);
  assert.equal(host.assignments.size, 0);
  assert.deepEqual(units.flatMap((unit) => [...unit.volumes]), []);
  assert.deepEqual(world.station.api.disks(), []);
  await world.end();
});

Deno.test("a host says nothing about maps of others, and uses up no version", async () => {
  const { world, host } = await hostIsAhead(0);
  const stranger = new FakeHost("h2", 78);
  await world.join(stranger);
  const { version } = host.assignments.get(DISK)!;
  const claim = (claimed: number) => [{ diskId: DISK, name: "db", version: claimed, legs: [] }];
  await world.heartbeat(stranger, "else", claim(version + 7));
  await world.heartbeat(host, "else", claim(Number.MAX_SAFE_INTEGER));
  await world.pass(6000);
  assert.equal(world.station.api.disks()[0]!.version, version);
  await world.end();
});

Deno.test("a disk found on labels is listed before it is told, above whatever its host holds", async () => {
  const { world, units, host } = await smallPool();
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  await world.station.stop();
  Deno.removeSync(world.path("catalog-1.sqlite"));
  const told = host.assignments.get(DISK)!;
  host.assignments.set(DISK, { ...told, version: 2 ** 40 });
  await world.start();
  for (const node of [...units, host]) await world.join(node);
  await world.pass(6000);
  await world.heartbeat(host, host.digest, held(host));
  const { api } = world.station;
  const [found, ...more] = api.recovery().differences;
  assert.deepEqual(more, []);
  assert.match(found!.held, /4 GiB, rebuilt from labels: leg 0 on unit "u1"/);
  assert.equal(found!.onConfirm, "its host is told of it again");
  await api.confirmRecovery(api.recovery().list, "ann");
  await world.pass(12_000);
  assert.ok(host.assignments.get(DISK)!.version > 2 ** 40);
  assert.deepEqual(api.differences(), []);
  assert.equal(api.pool().state, "normal");
  await world.end();
});

/** What a host is told it refuses, as one that has a newer map by now. */
function claimAlways(host: FakeHost): void {
  host.answer = (_name, body) => {
    const { version } = body as Assignment;
    const details = { version: version + 1 };
    return Promise.reject(new DvsanError("sequence-mismatch", "an older map", { details }));
  };
}

Deno.test("a host that claims ever newer maps is followed once in a while only", async () => {
  const { world, host } = await hostIsAhead(3);
  claimAlways(host);
  const { api } = world.station;
  for (let round = 0; round < 100; round++) {
    const claim = { diskId: DISK, name: "db", version: api.disks()[0]!.version + 1, legs: [] };
    await world.heartbeat(host, "else", [claim]);
    await world.pass(3 * MAP_FOLLOWED_MS_MIN / 100);
  }
  const events = await api.events({ after: 0, limit: 1000 });
  for (const kind of ["disk.behind", "disk.rebuilt"]) {
    const times = events.filter((event) => event.kind === kind).length;
    assert.ok(times >= 3 && times <= 4, `${kind} ${times} times`);
  }
  const [difference] = api.differences();
  assert.match(difference?.wanted ?? "", /that the host knows map version/);
  await world.end();
});
