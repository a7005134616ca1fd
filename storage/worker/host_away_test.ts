import assert from "node:assert/strict";
import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import {
  DISK_CONNECTIONS_MAX,
  DISK_REQUESTS_MAX,
  NBD_GONE_LOOK_MS,
  NBD_REQUESTS_PER_CONNECTION_MAX,
} from "../../protocol/core/limits.ts";
import { COMMAND, COMMAND_FLAGS } from "../../protocol/nbd/constants.ts";
import { CELL } from "../counters/layout.ts";
import { rowsWithParts } from "../counters/reader.ts";
import { KIB } from "../devices/testing_leg.ts";
import { ClientRequest } from "../nbd/client_request.ts";
import { type Consumer, diskOf, HostBench, IO_TIMEOUT_MS, OTHER_VOLUME } from "./testing_host.ts";

Deno.test("a unit away for too long is EIO to all that waits, whose connections live and go on", async () => {
  const host = new HostBench();
  const { bench } = host;
  const unit = bench.unit();
  await host.attach(diskOf([unit]));
  // As the kernel does it: several connections with many requests, which know no deadline.
  const consumers: Consumer[] = [];
  for (let i = 0; i < 4; i++) consumers.push((await host.opened()).consumer);
  assert.equal(consumers[0]!.request(COMMAND.write, 0, { fill: 7 }), 0);
  let stopped = false;
  unit.stop(() => stopped = true);
  bench.until(() => stopped);
  const { read, write, flush, trim, writeZeroes } = COMMAND;
  const waiting = consumers.flatMap((consumer, i) => [
    ...[read, write, trim, writeZeroes, flush].map((command) =>
      consumer.submit(command, (8 + i) * 4 * KIB, { fill: 9 })
    ),
    consumer.submit(write, (16 + i) * 4 * KIB, { fill: 9, flags: COMMAND_FLAGS.fua }),
  ]);
  const awayMs = bench.world.nowMs;
  const answered = () => consumers.reduce((sum, { answers }) => sum + answers, 0) - 1;
  bench.pass(IO_TIMEOUT_MS - 1000);
  assert.equal(answered(), 0, "they wait for as long as was asked for");
  bench.until(() => answered() === waiting.length, "the end of the wait");
  assert.ok(bench.world.nowMs - awayMs < IO_TIMEOUT_MS + 1000);
  assert.deepEqual(waiting.map(({ error }) => error), waiting.map(() => 5));
  for (const consumer of consumers) {
    const beganMs = bench.world.nowMs;
    assert.equal(consumer.request(read, 0), -5);
    assert.ok(bench.world.nowMs - beganMs < 1000, "nobody waits for it a second time");
  }
  const [disk] = rowsWithParts(host.counters.read(), "disk");
  const io = ERROR_KINDS.findIndex(({ name }) => name === "io");
  assert.equal(disk!.cells[CELL.errors + io], waiting.length + consumers.length);
  unit.start();
  bench.until(() => consumers[0]!.request(read, 0) === 7, "that the unit is back");
  for (const consumer of consumers) {
    assert.equal(consumer.ended, null);
    assert.equal(consumer.request(read, 0), 7);
    assert.equal(consumer.request(write, 4 * KIB, { fill: 8 }), 0);
    assert.equal(consumer.request(flush, 0), 0);
  }
  assert.equal(unit.device.durable[4 * KIB], 8);
  for (const { off } of waiting) bench.io.buffers.release(off);
  await host.end([unit]);
});

Deno.test("consumers that have gone keep nobody out while their requests wait", async () => {
  const host = new HostBench();
  const { bench } = host;
  const unit = bench.unit();
  await host.attach(diskOf([unit]));
  let stopped = false;
  unit.stop(() => stopped = true);
  bench.until(() => stopped);
  for (let i = 0; i < DISK_CONNECTIONS_MAX; i++) {
    const { consumer } = await host.opened();
    const { off } = consumer.submit(COMMAND.write, i * 4 * KIB, { fill: 1 });
    bench.pass(10);
    consumer.connection.drop("it timed out");
    bench.until(() => consumer.ended !== null);
    bench.io.buffers.release(off);
  }
  const { consumer } = await host.opened();
  unit.start();
  assert.equal(consumer.request(COMMAND.read, 0), 0, "what no unit was asked for is let go");
  await host.end([unit]);
});

/** Of each consumer: as many as its connection may have under way, or more, which stay unread. */
for (const each of [NBD_REQUESTS_PER_CONNECTION_MAX, NBD_REQUESTS_PER_CONNECTION_MAX + 16]) {
  Deno.test(`consumers that left ${each} requests each hold nobody up who uses other legs`, async () => {
    const host = new HostBench();
    const { bench } = host;
    const units = [bench.unit(), bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 })];
    await host.attach(diskOf(units));
    let stopped = false;
    units[0]!.stop(() => stopped = true);
    bench.until(() => stopped);
    // As a program does that gives up and tries again: all that the disk's socket takes, and more.
    for (let tries = 0; tries * each < 1.5 * DISK_REQUESTS_MAX; tries++) {
      const { consumer } = await host.opened();
      consumer.say(each, { command: COMMAND.trim, length: 4 * KIB, position: 0 });
      bench.pass(10);
      consumer.connection.drop("it timed out");
      bench.pass(10);
    }
    const { consumer } = await host.opened();
    const beganMs = bench.world.nowMs;
    assert.equal(consumer.request(COMMAND.write, 256 * KIB, { fill: 5 }), 0);
    assert.equal(consumer.request(COMMAND.read, 256 * KIB), 5);
    assert.ok(bench.world.nowMs - beganMs < 2 * NBD_GONE_LOOK_MS, "they wait for nobody else");
    await host.end(units);
  });
}

/** Of each connection that is left; together more than there are buffers for. */
const WRITES = 100;

Deno.test("what a consumer left unread does not land on what it wrote since", async () => {
  const host = new HostBench();
  const { bench } = host;
  const { buffers } = bench.io;
  const unit = bench.unit();
  await host.attach(diskOf([unit]));
  const left = [(await host.opened()).consumer, (await host.opened()).consumer];
  let stopped = false;
  unit.stop(() => stopped = true);
  bench.until(() => stopped);
  const off = buffers.take(4 * KIB);
  bench.io.bytes.fill(1, off, off + 4 * KIB);
  for (const { connection } of left) {
    for (let i = 0; i < WRITES; i++) {
      const request = new ClientRequest();
      connection.submit(Object.assign(request, { command: COMMAND.write, length: 4 * KIB, off }));
    }
    bench.pass(100);
  }
  assert.ok(buffers.taken < 2 * WRITES, "some wait for buffers, and others behind them");
  // As the kernel's client does when its timeout is over; somebody attaches it anew then.
  for (const { connection } of left) connection.drop("it timed out");
  const { consumer } = await host.opened();
  const newer = consumer.submit(COMMAND.write, 0, { fill: 2 });
  bench.pass(100);
  assert.equal(consumer.answers, 0);
  unit.start();
  bench.until(() => consumer.answers === 1, "the newer write");
  assert.equal(newer.error, 0);
  bench.pass(1000);
  assert.equal(consumer.request(COMMAND.read, 0), 2);
  for (const each of [off, newer.off]) buffers.release(each);
  await host.end([unit]);
});
