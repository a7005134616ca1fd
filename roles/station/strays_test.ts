import assert from "node:assert/strict";
import { order, smallPool } from "./fake_pool_testing.ts";
import type { FakeHost, FakeNode, FakeWorld } from "./fake_world_testing.ts";

/** A heartbeat of a host that was told that the station wants something else of it. */
function tell(world: FakeWorld, host: FakeHost): Promise<void> {
  const disks = [...host.assignments.values()].map(({ diskId, name, version, legs }) => ({
    diskId,
    name,
    version,
    legs: legs.map(({ leg, unitId, volumeId }) => ({ leg, unitId, volumeId })),
  }));
  return world.heartbeat(host, host.digest, disks);
}

async function gather(world: FakeWorld, nodes: readonly FakeNode[]): Promise<void> {
  for (const node of nodes) assert.equal(await world.join(node), null);
  await world.pass(6000);
}

async function confirm(world: FakeWorld): Promise<void> {
  const { api } = world.station;
  await api.confirmRecovery(api.recovery().list, "admin");
  await world.pass(6000);
}

/** A disk on the second unit was released while its host was away; then the catalog was lost. */
async function strayed() {
  const { world, units, host } = await smallPool([1, 20]);
  const { task } = await world.ask(host, "STORAGE_REQUEST", order("db", 4));
  assert.equal((await world.task(task.id)).state, "done");
  world.cut(host);
  await world.task((await world.station.api.releaseDisk("db", "admin")).id);
  assert.equal(units[1]!.volumes.size, 0);
  await world.station.stop();
  Deno.writeFileSync(world.path("catalog-1.sqlite"), new Uint8Array(9000).fill(7));
  await world.start();
  return { world, units, host };
}

Deno.test("a host forgets a disk of which nobody knows any more, once that is confirmed", async () => {
  const { world, units, host } = await strayed();
  await gather(world, [...units, host]);
  await tell(world, host);
  const { api } = world.station;
  const [found] = api.recovery().differences;
  assert.equal(found?.subject, 'disk "db" of host "h1"');
  assert.match(found.waits ?? "", /dvsan ctl recover/);
  assert.equal(found.onConfirm, "the host is to forget it");
  assert.equal(host.assignments.size, 1, "nothing is taken away before");
  await confirm(world);
  await tell(world, host);
  await world.pass(1000);
  assert.equal(host.assignments.size, 0);
  await world.heartbeat(host, host.digest);
  assert.deepEqual(api.differences(), []);
  await world.end();
});

Deno.test("a host keeps a disk while the unit that held it is not known or not whole", async () => {
  const { world, units, host } = await strayed();
  await gather(world, [units[0]!, host]);
  await tell(world, host);
  const [shown] = world.station.api.recovery().differences;
  assert.equal(shown!.onConfirm, null, "a confirmation alone does nothing about it");
  assert.match(shown!.waits ?? "", /which held leg 0 and is not known here/);
  await confirm(world);
  await tell(world, host);
  const { api } = world.station;
  const waits = () => api.differences().map((one) => one.waits).join();
  assert.match(waits(), /which held leg 0 and is not known here/);
  assert.equal(host.assignments.size, 1);
  const { info } = units[1]!;
  units[1]!.info = function () {
    const told = info.call(this);
    return { ...told, media: told.media.map((one) => ({ ...one, state: "missing" as const })) };
  };
  await gather(world, [units[1]!]);
  if (api.pool().state === "recovered") await confirm(world);
  await tell(world, host);
  assert.match(waits(), /of which medium \/dev\/u2 is missing/);
  assert.equal(host.assignments.size, 1);
  units[1]!.info = info;
  await world.heartbeat(units[1]!, "another");
  await tell(world, host);
  await world.pass(1000);
  assert.equal(host.assignments.size, 0);
  await world.end();
});

Deno.test("to have a host forget a disk is withdrawn when a unit shows that the catalog is old", async () => {
  const { world, units, host } = await strayed();
  await gather(world, [...units, host]);
  await tell(world, host);
  await confirm(world);
  const answer = host.answer.bind(host);
  const asked: (() => void)[] = [];
  host.answer = (name, body) =>
    new Promise((resolve) => asked.push(() => void answer(name, body).then(resolve)));
  await tell(world, host);
  await world.pass(1000);
  assert.equal(asked.length, 1);
  const [unit] = units;
  unit!.epoch += 20;
  await world.heartbeat(unit!, "another");
  await world.pass(1000);
  assert.equal(world.station.api.pool().state, "recovered");
  const reason = world.logged.find((text) => text.startsWith("Cannot have a host forget disk"));
  assert.match(reason ?? "", /was cancelled by its caller/);
  await world.end();
});
