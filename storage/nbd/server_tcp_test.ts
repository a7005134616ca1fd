import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { MIB } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags } from "../../protocol/nbd/option_frames.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { CELL, TYPE } from "../counters/layout.ts";
import { FaultDevice } from "../devices/fault.ts";
import { MemoryDevice } from "../devices/memory.ts";
import type { Io } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { NbdServer } from "./server.ts";
import { StandaloneExports } from "./server_standalone.ts";
import {
  goOption,
  IO_KINDS,
  ioOfKind,
  RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

const KIB = 1024;

/** A client in transmission, over TCP on loopback. */
function attachOverTcp(on: TestServer): RawClient {
  const listener = on.server.listenTcp({ address: "127.0.0.1", port: 0 }, on.gate);
  const connect = new Operation(() => {});
  on.io.connectTcp(connect, listener.address!);
  until(on.io, () => !connect.busy, "the connection");
  listener.close();
  const client = new RawClient(on.io, connect.result);
  client.listen();
  client.say(encodeClientFlags(3), goOption("disk"));
  client.hear(18 + 32 + 20);
  return client;
}

// The simulated network has no resets of its own.
for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`NbdServer lets nothing be seen of a WRITE that a reset cuts (${kind})`, () => {
    const on = new TestServer({ kind });
    for (const length of [600, 60 * KIB, 900 * KIB]) {
      const client = attachOverTcp(on);
      // What it does not read any more makes the kernel reset the connection when it closes.
      client.listening = false;
      client.say(request({ command: COMMAND.flush }));
      client.hear(16);
      const reads = readsOf(on);
      client.say(request({ command: COMMAND.read, length: 4096 }));
      until(on.io, () => readsOf(on) > reads, "the read");
      const whole = write(0, new Uint8Array(length).fill(0xee));
      client.say(whole.subarray(0, Math.floor(whole.length / 2)));
      for (let i = 0; i < 3; i++) on.io.turn(1);
      const ends = on.ends.length;
      client.close();
      until(on.io, () => on.ends.length > ends, "the end");
      assert.equal(on.ends.at(-1)?.clean, false);
      assert.equal(on.memory.bytes.every((byte) => byte === 0), true);
    }
    on.close();
  });
}

const BIG_BYTES = 32 * MIB;
const BIG_SLOTS = 2;
const BIG_WRITERS = 5;

/** Says one request and its payload, which lies in the arena, without waiting. */
class BigWriter {
  readonly client: RawClient;
  readonly sent = new Operation(() => {});

  constructor(io: Io, server: NbdServer, gate: StandaloneExports) {
    const [ours, theirs] = io.socketPair();
    server.serve(theirs, gate, null);
    this.client = new RawClient(io, ours);
    this.client.listen();
    this.client.say(encodeClientFlags(3), goOption("disk"));
    this.client.hear(18 + 32 + 20);
  }

  write(io: Io, payload: number): void {
    this.client.say(request({ command: COMMAND.write, length: BIG_BYTES }));
    io.send(this.sent, this.client.handle, payload, BIG_BYTES);
  }
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer finishes more 32 MiB writes at once than it has room for (${kind})`, () => {
    const classes = [
      { bytes: 8 * KIB, count: 16 },
      { bytes: 16 * KIB, count: 4 },
      // The pool of requests keeps its replies in these: simple ones, and chunks.
      { bytes: 70 * KIB, count: 2 },
      { bytes: 320 * KIB, count: 1 },
      { bytes: BIG_BYTES + 4 * KIB, count: BIG_SLOTS + 1 },
    ];
    const io = ioOfKind(kind, { classes });
    const server = new NbdServer({ io, log: silentLog() });
    const memory = new MemoryDevice({ io, sizeBytes: BIG_BYTES });
    const device = new FaultDevice(memory, { io });
    device.set("write", { kind: "hold" });
    const gate = new StandaloneExports();
    gate.add("disk", device);
    // One of the slots is the writers' own: all of them send the same.
    const payload = io.buffers.take(BIG_BYTES);
    io.bytes.fill(0x5d, payload, payload + BIG_BYTES);
    const writers = Array.from({ length: BIG_WRITERS }, () => new BigWriter(io, server, gate));
    for (const writer of writers) writer.write(io, payload);
    const waiting = BIG_WRITERS - BIG_SLOTS;
    until(io, () => device.heldCount === BIG_SLOTS, "as many writes as there are slots");
    until(io, () => server.counters.bufferWaits === waiting, "the others to wait");
    device.set("write", null);
    device.release();
    for (const { client } of writers) assert.deepEqual(reply(client.hear(16)), [0, 1]);
    assert.equal(memory.bytes.every((byte) => byte === 0x5d), true);
    until(io, () => writers.every(({ sent }) => !sent.busy), "the sends");
    io.buffers.release(payload);
    let over = false;
    server.shutAll("the test is over", () => over = true);
    until(io, () => over, "the end");
    server.close();
    assert.equal(io.buffers.taken, 0);
    io.destroy();
  });
}

function readsOf(on: TestServer): number {
  return on.counted().cells[CELL.requests + TYPE.read]!;
}
