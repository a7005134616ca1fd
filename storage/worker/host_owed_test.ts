import assert from "node:assert/strict";
import { LEG_RETURN_MS } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { diskOf } from "./testing_host.ts";
import { EIO, Returning } from "./testing_returning.ts";

/** How long a host owes a loss, over ends of its agent. */

Deno.test("whoever comes first is told, however late that is", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  unit.reboot();
  await host.attach(diskOf([unit]));
  host.bench.pass(10 * LEG_RETURN_MS);
  const first = await world.consumer();
  assert.deepEqual([world.flush(first), world.flush(first)], [EIO, 0]);
  await world.end();
});

Deno.test("a loss is told by the next process when nobody was told by this one", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  unit.reboot();
  for (let i = 0; i < 2; i++) {
    await host.attach(diskOf([unit]));
    // Its last flush is nobody's.
    await host.restart();
  }
  await host.attach(diskOf([unit]));
  assert.equal(world.flush(await world.consumer()), EIO);
  await host.restart();
  await host.attach(diskOf([unit]));
  const again = await world.consumer();
  assert.deepEqual([world.flush(again), world.flush(again)], [EIO, 0], "the others were not back");
  host.bench.pass(2 * LEG_RETURN_MS);
  await world.ended();
  world.start();
  await host.attach(diskOf([unit]));
  assert.equal(world.flush(await world.consumer()), 0, "all were told");
  await world.end();
});

Deno.test("who has not flushed since is told by the next process, however late that ends", async () => {
  for (const isKilled of [true, false]) {
    const world = new Returning();
    const { host, unit } = world;
    await world.writtenAndEnded();
    unit.reboot();
    await host.attach(diskOf([unit]));
    const consumers = [await world.consumer(), await world.consumer()];
    assert.equal(world.flush(consumers[0]!), EIO);
    host.bench.pass(3 * LEG_RETURN_MS);
    // With its unit there it flushes before it ends.
    if (isKilled) {
      await world.ended();
      world.start();
    } else await host.restart();
    await host.attach(diskOf([unit]));
    const next = await world.consumer();
    assert.deepEqual([world.flush(next), world.flush(next)], [EIO, 0]);
    await world.end();
  }
});

Deno.test("who leaves without a flush is to be told no more", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  unit.reboot();
  await host.attach(diskOf([unit]));
  const [first, other] = [await world.consumer(), await world.consumer()];
  assert.equal(world.flush(first), EIO);
  host.bench.pass(2 * LEG_RETURN_MS);
  other.connection.goodbye();
  host.bench.until(() => other.ended !== null);
  host.bench.pass(2 * LEG_RETURN_MS);
  await host.restart();
  await host.attach(diskOf([unit]));
  assert.equal(world.flush(await world.consumer()), 0);
  await world.end();
});

Deno.test("a stop makes durable what was written since a loss", async () => {
  const world = new Returning();
  const { host, unit } = world;
  await world.writtenAndEnded();
  unit.reboot();
  await host.attach(diskOf([unit]));
  const consumer = await world.consumer();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 8 }), 0);
  await host.restart();
  assert.equal(unit.device.durable[0], 8);
  await host.attach(diskOf([unit]));
  assert.equal(world.flush(await world.consumer()), EIO);
  await world.end();
});
