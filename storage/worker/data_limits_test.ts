import assert from "node:assert/strict";
import { DATA_LIMITS } from "../../protocol/core/data_limits.ts";
import { DISK_CONNECTIONS_MAX, MIB } from "../../protocol/core/limits.ts";
import { CELL, TYPE } from "../counters/layout.ts";
import { TestServer, until, write } from "../nbd/server_testing.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { diskServerLimitsOf, serverLimitsOf } from "./data_limits.ts";
import { diskOf, HostBench } from "./testing_host.ts";

/** What an operator has set is what a server does, on the simulated Io with its default times. */

/** No time is a default, and none is another one's. */
const TIMES = { handshakeTimeoutMs: 7_000, stallTimeoutMs: 2_300 };

function serverOf(set: Partial<typeof DATA_LIMITS>): TestServer {
  const limits = serverLimitsOf({ ...DATA_LIMITS, ...TIMES, ...set });
  return new TestServer({ kind: "sim", limits });
}

function lasts(on: TestServer, ms: number, condition: () => boolean): void {
  const beganMs = on.io.nowMs();
  until(on.io, condition);
  const lastedMs = on.io.nowMs() - beganMs;
  assert.ok(lastedMs >= ms && lastedMs < ms + 200, `${lastedMs} ms in place of ${ms}`);
}

Deno.test("a server's deadline of handshakes is what was set", () => {
  const on = serverOf({});
  const { client } = on.connect();
  lasts(on, TIMES.handshakeTimeoutMs, () => client.ended);
  on.close();
});

Deno.test("a server's cap of handshakes is what was set", () => {
  const on = serverOf({ handshakesMax: 2 });
  const strangers = [on.connect(), on.connect(), on.connect()];
  until(on.io, () => strangers[0]!.client.ended, "that the oldest makes room");
  assert.equal(on.server.counters.negotiating, 2);
  on.close();
});

Deno.test("a server's cap of connections is what was set", () => {
  const on = serverOf({ connectionsMax: 3 });
  for (let i = 0; i < 3; i++) on.attach();
  const { client, connection } = on.connect();
  assert.equal(connection, null);
  until(on.io, () => client.ended, "that one more is turned away");
  assert.equal(on.server.counters.connections, 3);
  on.close();
});

Deno.test("a server's patience with who keeps buffers is what was set", () => {
  const on = serverOf({});
  const payload = new Uint8Array(MIB);
  // All buffers of this size.
  const silent = Array.from({ length: 4 }, () => on.attach().client);
  for (const client of silent) client.say(write(0, payload).subarray(0, 1000));
  until(on.io, () => on.counted().cells[CELL.requests + TYPE.write] === 4, "the buffers");
  const { client } = on.attach();
  client.say(write(0, payload).subarray(0, 100));
  lasts(on, TIMES.stallTimeoutMs, () => silent.some(({ ended }) => ended));
  on.close();
});

Deno.test("a disk's socket lets in as many as one export may have", () => {
  const limits = { ...DATA_LIMITS, ...TIMES, handshakesMax: 3 };
  const own = diskServerLimitsOf({ ...limits, exportConnectionsMax: 5 });
  assert.deepEqual(own, { ...serverLimitsOf(limits), connectionsMax: 5 });
  assert.equal(diskServerLimitsOf(limits).connectionsMax, DISK_CONNECTIONS_MAX);
});

async function reasonOf(host: HostBench): Promise<string> {
  const [disk] = await host.service.diskList();
  return disk?.legs[0]?.reason ?? "none";
}

Deno.test("a host's patience with a unit that does not let it in is what was set", async () => {
  const host = new HostBench({ attachTimeoutMs: 700 });
  const unit = host.bench.unit();
  unit.deaf = true;
  await host.attach(diskOf([unit]));
  host.bench.pass(1000);
  assert.match(await reasonOf(host), /did not let us in within 700 ms/);
  unit.deaf = false;
  await host.end([unit]);
});

Deno.test("a host's patience with a unit that does not answer is what was set", async () => {
  const host = new HostBench({ replyTimeoutMs: 1300 });
  const unit = host.bench.unit();
  await host.attach(diskOf([unit]));
  const { device } = unit;
  const read = device.read.bind(device);
  const held: Parameters<typeof read>[] = [];
  device.read = (...asked) => void held.push(asked);
  const { consumer } = await host.opened();
  const request = consumer.submit(COMMAND.read, 0);
  const beganMs = host.bench.world.nowMs;
  while (await reasonOf(host) === "none") host.bench.pass(10);
  assert.match(await reasonOf(host), /did not reply for 1300 ms/);
  const lastedMs = host.bench.world.nowMs - beganMs;
  assert.ok(lastedMs >= 1300 && lastedMs < 2600, `${lastedMs} ms`);
  device.read = read;
  for (const asked of held) read(...asked);
  host.bench.until(() => consumer.answers === 1);
  assert.equal(request.error, 0);
  host.bench.io.buffers.release(request.off);
  await host.end([unit]);
});
