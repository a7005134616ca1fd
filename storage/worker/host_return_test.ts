import assert from "node:assert/strict";
import { LEG_RETURN_MS } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { assignmentOf, KIB } from "../devices/testing_leg.ts";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import { diskOf, OTHER_VOLUME } from "./testing_host.ts";
import { EIO, Returning } from "./testing_returning.ts";

/** Consumers that come back by themselves to a host whose agent has ended with unflushed writes. */

Deno.test("consumers who are back before the unit are each told once of what its power cut took", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  await host.attach(diskOf([unit]));
  const consumers = [await world.consumer(), await world.consumer()];
  const flushes = consumers.map((consumer) => consumer.submit(COMMAND.flush, 0));
  host.bench.pass(1000);
  unit.reboot();
  host.bench.until(() => consumers.every(({ answers }) => answers === 1));
  assert.deepEqual(flushes.map(({ error }) => -error), [EIO, EIO]);
  for (const { off } of flushes) host.bench.io.buffers.release(off);
  assert.equal(consumers[0]!.request(COMMAND.read, 0), 0, "it is gone");
  for (const consumer of consumers) {
    assert.equal(consumer.request(COMMAND.write, 0, { fill: 8 }), 0);
    assert.equal(world.flush(consumer), 0);
  }
  assert.equal(unit.device.durable[0], 8);
  await world.end();
});

Deno.test("and so are those who are back some time after it", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  unit.reboot();
  await host.attach(diskOf([unit]));
  const first = await world.consumer();
  assert.deepEqual([world.flush(first), world.flush(first)], [EIO, 0]);
  host.bench.pass(LEG_RETURN_MS / 2);
  const later = await world.consumer();
  assert.deepEqual([world.flush(later), world.flush(later)], [EIO, 0]);
  host.bench.pass(LEG_RETURN_MS);
  assert.equal(world.flush(await world.consumer()), 0, "nobody comes back so late");
  await world.end();
});

Deno.test("nothing fails when processes of host and unit were restarted, and no machine", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  world.start();
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(world.flush(consumer), 0);
  assert.equal(unit.device.durable[0], 7);
  await world.end();
});

Deno.test("a power cut after the return, before anything was flushed, takes what was written before", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  world.start();
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(consumer.request(COMMAND.write, 4 * KIB, { fill: 8 }), 0);
  unit.reboot();
  assert.equal(world.flush(consumer), EIO);
  assert.equal(world.flush(consumer), 0);
  assert.equal(consumer.request(COMMAND.read, 0), 0);
  assert.equal(consumer.request(COMMAND.read, 4 * KIB), 8, "this process has replayed its own");
  await world.end();
});

Deno.test("each power cut before a flush of the process that is back is told", async () => {
  const world = new Returning();
  await world.writtenAndEnded();
  await world.host.attach(diskOf([world.unit]));
  const consumer = await world.consumer();
  for (let cut = 0; cut < 2; cut++) {
    world.unit.reboot();
    assert.equal(world.flush(consumer), EIO);
  }
  assert.equal(world.flush(consumer), 0);
  await world.end();
});

Deno.test("a power cut after a flush by the process that is back is made good by its replay", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  world.start();
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(world.flush(consumer), 0);
  assert.equal(consumer.request(COMMAND.write, 4 * KIB, { fill: 8 }), 0);
  unit.reboot();
  assert.equal(world.flush(consumer), 0);
  assert.equal(consumer.request(COMMAND.read, 0), 7);
  assert.equal(consumer.request(COMMAND.read, 4 * KIB), 8);
  await world.end();
});

Deno.test("what a replay made good is owed to nobody after a restart", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 7 }), 0);
  unit.reboot();
  assert.equal(consumer.request(COMMAND.read, 0), 7);
  await world.ended();
  world.start();
  await host.attach(diskOf([unit]));
  assert.equal(world.flush(await world.consumer()), 0);
  await world.end();
});

Deno.test("a replay that could not be flushed made nothing good", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 7 }), 0);
  unit.device.flushErrno = 5;
  unit.reboot();
  assert.equal(consumer.request(COMMAND.read, 0), 7);
  await world.ended();
  unit.device.flushErrno = 0;
  world.start();
  await host.attach(diskOf([unit]));
  const next = await world.consumer();
  assert.deepEqual([world.flush(next), world.flush(next)], [EIO, 0]);
  await world.end();
});

Deno.test("who detached with all flushed is owed nothing, whatever its unit loses then", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 7 }), 0);
  consumer.connection.goodbye();
  host.bench.until(() => consumer.ended !== null);
  await host.restart();
  assert.equal(host.marks, null);
  unit.reboot();
  await host.attach(diskOf([unit]));
  const next = await world.consumer();
  assert.equal(world.flush(next), 0);
  assert.equal(next.request(COMMAND.read, 0), 7);
  await world.end();
});

Deno.test("a host that was stopped before it ever met its unit owes nothing", async () => {
  const world = new Returning();
  const { host, unit } = world;
  world.stop();
  await host.attach(diskOf([unit]));
  await host.restart();
  unit.reboot();
  await host.attach(diskOf([unit]));
  assert.equal(world.flush(await world.consumer()), 0);
  await world.end();
});

Deno.test("what was written under another grant is told as lost: somebody else may have had it", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  world.start();
  const legs = [assignmentOf(unit, { counter: 2 })];
  await host.attach({ ...diskOf([unit], 2), legs });
  const consumer = await world.consumer();
  assert.deepEqual([world.flush(consumer), world.flush(consumer)], [EIO, 0]);
  await world.end();
});

Deno.test("a loss on one leg is told while another is away, so that it is not taken for told", async () => {
  const world = new Returning();
  const { host, unit } = world;
  const other = host.bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 });
  await world.writtenAndEnded([unit, other]);
  unit.reboot();
  await host.attach(diskOf([unit, other]));
  const consumer = await world.consumer();
  const { off } = consumer.submit(COMMAND.flush, 0);
  host.bench.pass(LEG_RETURN_MS / 2);
  host.bench.io.buffers.release(off);
  assert.equal(consumer.answers, 1);
  world.start(other);
  host.bench.until(() => world.flush(consumer) === 0, "that nothing else is owed");
  await world.end(other);
});

Deno.test("of several legs the one that lost something is told; one that is added has nothing to tell", async () => {
  const world = new Returning();
  const { host, unit } = world;
  const others = [OTHER_VOLUME, OTHER_VOLUME.replace("1f", "3f")].map((volumeId, i) =>
    host.bench.unit({ volumeId, keySeed: 9 + i })
  );
  const [other, added] = others as [FakeUnit, FakeUnit];
  await world.writtenAndEnded([unit, other]);
  world.start(other);
  unit.reboot();
  await host.attach(diskOf([unit, other]));
  await host.run(host.service.diskUpdate(diskOf([unit, other, added], 2)));
  const consumer = await world.consumer();
  assert.deepEqual([world.flush(consumer), world.flush(consumer)], [EIO, 0]);
  host.bench.pass(2 * LEG_RETURN_MS);
  assert.deepEqual(Object.keys(host.marks ?? {}).length, 3);
  const units = [unit, other, added];
  await world.ended(units);
  for (const each of units) world.start(each);
  await host.attach(diskOf(units, 2));
  assert.equal(world.flush(await world.consumer()), 0);
  await world.end(...others);
});
