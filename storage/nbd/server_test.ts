import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat } from "../../protocol/core/bytes.ts";
import { NBD_REQUESTS_PER_CONNECTION_MAX } from "../../protocol/core/limits.ts";
import { COMMAND, COMMAND_FLAGS } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import { CELL, TYPE } from "../counters/layout.ts";
import { inFlightOf, sumOf } from "../counters/reader.ts";
import type { ServerLimits } from "./server.ts";
import { goOption, IO_KINDS, reply, request, TestServer, until, write } from "./server_testing.ts";

const KIB = 1024;
const MIB = KIB * KIB;

/** Registers a test for each Io. */
function test(
  name: string,
  run: (on: TestServer) => void,
  limits: Partial<ServerLimits> = {},
): void {
  for (const kind of IO_KINDS) {
    testOn(kind)(`${name} (${kind})`, () => {
      const on = new TestServer({ kind, limits });
      run(on);
      on.close();
    });
  }
}

test("NbdServer writes, reads, zeroes, trims and flushes", (on) => {
  const { client } = on.attach();
  const data = new Uint8Array(5000).map((_, i) => i);
  client.say(write(1000, data, 7));
  assert.deepEqual(reply(client.hear(16)), [0, 7]);
  client.say(request({ command: COMMAND.read, position: 1000, length: 5000, cookie: 8 }));
  assert.deepEqual(reply(client.hear(16)), [0, 8]);
  assert.deepEqual(client.hear(5000), data);
  const flags = COMMAND_FLAGS.fua;
  client.say(request({ command: COMMAND.writeZeroes, position: 1000, length: 10, flags }));
  assert.deepEqual(reply(client.hear(16)), [0, 1]);
  client.say(request({ command: COMMAND.trim, position: 2000, length: 10, flags, cookie: 2 }));
  assert.deepEqual(reply(client.hear(16)), [0, 2]);
  client.say(request({ command: COMMAND.flush, cookie: 3 }));
  assert.deepEqual(reply(client.hear(16)), [0, 3]);
  assert.deepEqual(on.memory.bytes.slice(1000, 1010), new Uint8Array(10));
  assert.equal(on.memory.bytes[1010], data[10]);
});

test("NbdServer understands requests that come byte by byte", (on) => {
  const { client } = on.attach();
  for (const byte of write(0, new Uint8Array(40).fill(9), 5)) client.say(new Uint8Array([byte]));
  assert.deepEqual(reply(client.hear(16)), [0, 5]);
  assert.deepEqual(on.memory.bytes.slice(0, 41), new Uint8Array(41).fill(9, 0, 40));
});

test("NbdServer answers 64 requests and DISC that come at once, then closes", (on) => {
  const { client } = on.attach();
  const reads = Array.from(
    { length: 64 },
    (_, cookie) => request({ command: COMMAND.read, position: 512 * cookie, length: 512, cookie }),
  );
  client.say(...reads, request({ command: COMMAND.disconnect }));
  until(on.io, () => client.ended, "the close");
  assert.equal(client.heard.length, 64 * (16 + 512));
  assert.deepEqual(on.ends.map((end) => end.clean), [true]);
});

test("NbdServer answers what was asked before the client closed without DISC", (on) => {
  const { client } = on.attach();
  on.device.set("read", { kind: "hold" });
  client.say(request({ command: COMMAND.read, length: 512 }));
  until(on.io, () => on.device.heldCount === 1, "the read");
  client.close();
  for (let i = 0; i < 5; i++) on.io.turn(1);
  assert.equal(on.ends.length, 0);
  on.device.release();
  until(on.io, () => on.ends.length === 1, "the end");
  assert.equal(on.ends[0]!.clean, false);
});

test("NbdServer lets nothing of a half-written payload be seen", (on) => {
  for (const length of [600, 60 * KIB, 900 * KIB]) {
    const { client } = on.attach();
    const whole = write(0, new Uint8Array(length).fill(0xee));
    client.say(whole.subarray(0, Math.floor(whole.length / 2)));
    client.close();
    const ends = on.ends.length;
    until(on.io, () => on.ends.length > ends, "the end");
    assert.equal(on.memory.bytes.every((byte) => byte === 0), true);
  }
});

test("NbdServer drains refused writes and stays in step", (on) => {
  const { client } = on.attach();
  const payload = new Uint8Array(100 * KIB);
  client.say(write(4 * MIB - 10, payload, 1));
  assert.deepEqual(reply(client.hear(16)), [28, 1]);
  client.say(write(0, new Uint8Array(0), 2), request({ command: 9, cookie: 3 }));
  assert.deepEqual(reply(client.hear(16)), [0, 2]);
  assert.deepEqual(reply(client.hear(16)), [22, 3]);
  client.say(request({ command: COMMAND.flush, cookie: 4 }));
  assert.deepEqual(reply(client.hear(16)), [0, 4]);
});

test("NbdServer keeps nothing of a WRITE that claims 4 GiB", (on) => {
  const { client } = on.attach();
  const claim = request({ command: COMMAND.write, length: 2 ** 32 - 1 });
  const taken = on.io.buffers.taken;
  client.say(claim, new Uint8Array(256 * KIB));
  assert.equal(on.io.buffers.taken <= taken + 1, true);
  assert.equal(on.memory.bytes.every((byte) => byte === 0), true);
});

test("NbdServer echoes duplicate cookies without a thought", (on) => {
  const { client } = on.attach();
  const one = request({ command: COMMAND.read, length: 16, cookie: 5 });
  client.say(one, one, one);
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(reply(client.hear(16)), [0, 5]);
    client.hear(16);
  }
});

test("NbdServer squeezes a device's errno into what the wire knows", (on) => {
  const { client } = on.attach();
  for (const [errno, wire] of [[5, 5], [28, 28], [30, 1], [110, 5]] as const) {
    on.device.set("read", { kind: "fail", errno });
    client.say(request({ command: COMMAND.read, length: 512 }));
    assert.deepEqual(reply(client.hear(16)), [wire, 1]);
  }
  assert.equal(sumOf(on.counted().cells, CELL.errors, ERROR_KINDS.length), 4);
  assert.equal(inFlightOf(on.counted().cells), 0);
});

test("NbdServer bounds what a client holds that never reads, and serves others", (on) => {
  const { client: greedy } = on.attach();
  const { client } = on.attach();
  // What it asks for fills its receive buffer and the socket's, and then every buffer of a class.
  greedy.listening = false;
  const read = request({ command: COMMAND.read, length: 4096 });
  greedy.say(...new Array<Uint8Array>(1000).fill(read));
  client.say(request({ command: COMMAND.flush, cookie: 9 }));
  assert.deepEqual(reply(client.hear(16)), [0, 9]);
  assert.equal(on.counted().cells[CELL.requests + TYPE.read]! <= 256, true);
  client.say(request({ command: COMMAND.read, length: 4096, cookie: 10 }));
  assert.deepEqual(reply(client.hear(16)), [0, 10]);
}, { stallMs: 50 });

test("NbdServer.shut() submits nothing more, and answers when the device is done", (on) => {
  const { client, connection } = on.attach();
  on.device.set("write", { kind: "hold" });
  client.say(write(0, new Uint8Array(512).fill(1)));
  until(on.io, () => on.device.heldCount === 1, "the write");
  client.say(write(512, new Uint8Array(512).fill(2)).subarray(0, 300));
  let quiescent = 0;
  connection!.shut("fenced", () => quiescent++);
  connection!.shut("fenced", () => quiescent++);
  until(on.io, () => client.ended, "the close");
  for (let i = 0; i < 5; i++) on.io.turn(1);
  assert.equal(quiescent, 0);
  assert.equal(on.ends.length, 0);
  on.device.release();
  until(on.io, () => quiescent === 2, "quiescence");
  assert.deepEqual(on.ends.map((end) => end.reason), ["fenced"]);
  assert.equal(on.memory.bytes[0], 1);
  assert.equal(on.memory.bytes[512], 0);
  connection!.shut("again", () => quiescent++);
  assert.equal(quiescent, 3);
});

test("NbdServer.shut() answers at once when nothing is under way", (on) => {
  const { connection } = on.connect();
  let quiescent = false;
  connection!.shut("fenced", () => quiescent = true);
  assert.equal(quiescent, true);
});

test("NbdServer takes requests that come with GO, and none after ABORT", (on) => {
  const { client } = on.connect();
  client.say(concat(encodeClientFlags(3), goOption("disk"), request({ command: COMMAND.flush })));
  client.hear(18 + 32 + 20);
  assert.deepEqual(reply(client.hear(16)), [0, 1]);
  const { client: other } = on.connect();
  other.say(encodeClientFlags(3), encodeOption(2, new Uint8Array(9)), goOption("disk"));
  until(on.io, () => other.ended, "the close");
  assert.equal(other.heard.length, 18 + 20);
});

test("NbdServer ends a negotiation that takes too long", (on) => {
  const { client } = on.connect();
  until(on.io, () => client.ended && on.ends.length === 1, "the end");
  assert.equal(on.server.counters.negotiating, 0);
}, { negotiationMs: 20 });

test("NbdServer lets idle strangers keep nobody out", (on) => {
  const attached = on.attach();
  const strangers = Array.from({ length: 50 }, () => on.connect());
  assert.equal(on.server.counters.negotiating, 4);
  const latest = on.attach();
  until(on.io, () => strangers[0]!.client.ended, "the oldest one's end");
  assert.equal(strangers[49]!.client.ended, false);
  assert.equal(on.server.counters.turnedAway, 47);
  for (const { client } of [attached, latest]) {
    client.say(request({ command: COMMAND.flush, cookie: 1 }));
    assert.deepEqual(reply(client.hear(16)), [0, 1]);
  }
}, { negotiatingMax: 4 });

const FULL = NBD_REQUESTS_PER_CONNECTION_MAX + 1;
test("NbdServer answers the request that waited for room, though nothing follows it", (on) => {
  const { client } = on.attach();
  on.device.set("flush", { kind: "hold" });
  const flushes = Array.from(
    { length: FULL },
    (_, cookie) => request({ command: COMMAND.flush, cookie }),
  );
  client.say(...flushes);
  until(on.io, () => on.device.heldCount === FULL - 1, "as many requests as one client may have");
  on.device.set("flush", null);
  on.device.release();
  for (let cookie = 0; cookie < FULL; cookie++) {
    assert.deepEqual(reply(client.hear(16)), [0, cookie]);
  }
});

test("NbdServer serves more clients than it has requests for", (on) => {
  const { client: first } = on.attach();
  const { client: second } = on.attach();
  on.device.set("read", { kind: "hold" });
  const read = (cookie: number) => request({ command: COMMAND.read, length: 512, cookie });
  first.say(read(1), read(2));
  until(on.io, () => on.device.heldCount === 2, "all that the server has");
  second.say(read(3));
  for (let i = 0; i < 5; i++) on.io.turn(1);
  assert.equal(on.device.heldCount, 2);
  on.device.set("read", null);
  on.device.release();
  assert.deepEqual(reply(second.hear(16)), [0, 3]);
  assert.equal(first.hear(2 * (16 + 512)).length, 2 * (16 + 512));
}, { requestsMax: 2 });

test("NbdServer cuts off who takes no replies when others wait for requests", (on) => {
  const { client: deaf } = on.attach();
  const { client: reader } = on.attach();
  deaf.listening = false;
  // Its replies fill its socket, and what waits behind them is all that the server has.
  const read = request({ command: COMMAND.read, length: 60 * KIB });
  deaf.say(...new Array<Uint8Array>(200).fill(read));
  reader.say(request({ command: COMMAND.flush, cookie: 9 }));
  assert.deepEqual(reply(reader.hear(16)), [0, 9]);
}, { requestsMax: 8, stallMs: 50 });

Deno.test("NbdServer waits for a gate that answers a private option later", () => {
  let later: (() => void) | null = null;
  const on: TestServer = new TestServer({
    gate: {
      list: () => [],
      find: () => ({ refused: 0xe4560001, text: "no" }),
      privateOption: (_connection, { payload }, answer) => {
        later = () => answer({ kind: "answer", payload });
      },
      ended: (_connection, how) => on.ends.push(how),
    },
  });
  const { client } = on.connect();
  const option = encodeOption(0x64560002, new Uint8Array([1, 2, 3]));
  client.say(encodeClientFlags(3), option, goOption("x"));
  client.hear(18);
  until(on.io, () => later !== null, "the question");
  for (let i = 0; i < 3; i++) on.io.turn(1);
  assert.equal(client.heard.length, 0);
  later!();
  assert.deepEqual(client.hear(23).slice(20), new Uint8Array([1, 2, 3]));
  client.hear(20);
  assert.deepEqual(client.hear(22).slice(12, 16), new Uint8Array([0xe4, 0x56, 0, 1]));
  on.close();
});
