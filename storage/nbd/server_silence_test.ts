import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat } from "../../protocol/core/bytes.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { COMMAND, WIRE_ERROR } from "../../protocol/nbd/constants.ts";
import { CELL, TYPE } from "../counters/layout.ts";
import { BufferUser } from "../io/io.ts";
import { NbdServer } from "./server.ts";
import {
  IO_KINDS,
  type RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

/** Clients that fall silent in transmission: within a request, a payload or a reply. */

const KIB = 1024;
const MIB = 1024 * KIB;
/** More than a socket takes, of a class of four buffers in TestServer's arena. */
const BIG = 900 * KIB;
const BUFFERS = 4;
const STALL_MS = { uring: 50, epoll: 50, sim: 10_000 };

/** What a client has said when it falls silent, what it says after that, and its answer then. */
interface Silence {
  readonly said: Uint8Array;
  readonly rest: Uint8Array;
  readonly error: number;
}

const small = write(0, new Uint8Array(600).fill(1));
const large = write(0, new Uint8Array(BIG).fill(2));
const refused = write(4 * MIB - 512, new Uint8Array(BIG).fill(3));

const SILENCES: Readonly<Record<string, Silence>> = {
  "between two requests": cut(request({ command: COMMAND.flush }), 0),
  "within a request's magic": cut(request({ command: COMMAND.flush }), 3),
  "within a request's length": cut(request({ command: COMMAND.flush }), 26),
  "before a payload": cut(small, 28),
  "within a small payload": cut(small, 300),
  "within a large payload": cut(large, 500 * KIB),
  "before a refused payload": { ...cut(refused, 28), error: WIRE_ERROR.noSpace },
  "within a refused payload": { ...cut(refused, 700 * KIB), error: WIRE_ERROR.noSpace },
};

function cut(bytes: Uint8Array, at: number): Silence {
  return { said: bytes.subarray(0, at), rest: bytes.subarray(at), error: 0 };
}

/** Time goes by in which somebody would be cut off, and others are served. */
function letTimePass(on: TestServer, { stallMs, other }: { stallMs: number; other: RawClient }) {
  const untilMs = on.io.nowMs() + 3 * stallMs;
  until(on.io, () => {
    expectServed(other);
    return on.io.kind === "sim" || on.io.nowMs() >= untilMs;
  }, "the end of a while");
  while (on.io.nowMs() < untilMs) on.io.turn(untilMs - on.io.nowMs());
  expectServed(other);
}

function expectServed(client: RawClient): void {
  client.say(request({ command: COMMAND.flush, cookie: 77 }));
  assert.deepEqual(reply(client.hear(16)), [0, 77]);
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  const stallMs = STALL_MS[kind];

  test(`NbdServer keeps who falls silent in transmission, for as long as nobody waits (${kind})`, () => {
    const on = new TestServer({ kind, limits: { stallMs } });
    const { client: other } = on.attach();
    const silent = Object.entries(SILENCES).map(([where, silence]) => {
      const { client } = on.attach();
      client.say(silence.said);
      return { where, client, silence };
    });
    letTimePass(on, { stallMs, other });
    assert.ok(on.memory.bytes.every((byte) => byte === 0), "no part of a payload");
    assert.equal(on.ends.length, 0);
    for (const { where, client, silence } of silent) {
      client.say(silence.rest);
      assert.deepEqual(reply(client.hear(16)), [silence.error, 1], where);
    }
    on.close();
  });

  test(`NbdServer keeps who takes half a reply, for as long as nobody waits (${kind})`, () => {
    const on = new TestServer({ kind, limits: { stallMs } });
    const { client: other } = on.attach();
    const { client: deaf } = on.attach();
    on.memory.bytes.fill(5);
    deaf.listening = false;
    deaf.say(request({ command: COMMAND.read, length: BIG }));
    letTimePass(on, { stallMs, other });
    assert.equal(on.ends.length, 0);
    deaf.listening = true;
    deaf.listen();
    assert.deepEqual(reply(deaf.hear(16)), [0, 1]);
    assert.ok(deaf.hear(BIG).every((byte) => byte === 5));
    on.close();
  });

  test(`NbdServer cuts off who keeps buffers by not taking replies, for others (${kind})`, () => {
    const on = new TestServer({ kind, limits: { stallMs } });
    const deaf = Array.from({ length: BUFFERS }, () => on.attach().client);
    for (const client of deaf) {
      client.listening = false;
      client.say(request({ command: COMMAND.read, length: BIG }));
    }
    // A request is counted as it takes its buffer.
    const begun = () => on.counted().cells[CELL.requests + TYPE.read];
    until(on.io, () => begun() === BUFFERS, "the buffers");
    const { client } = on.attach();
    client.say(request({ command: COMMAND.read, length: BIG, cookie: 4 }));
    assert.deepEqual(reply(client.hear(16)), [0, 4]);
    client.hear(BIG);
    assert.ok(on.ends.every(({ clean }) => !clean));
    on.close();
  });

  test(`NbdServer cuts off who keeps requests by not finishing payloads, for others (${kind})`, () => {
    const on = new TestServer({ kind, limits: { stallMs, requestsMax: 2 } });
    const silent = [on.attach().client, on.attach().client];
    for (const client of silent) client.say(large.subarray(0, 100 * KIB));
    const { client } = on.attach();
    client.say(concat(...[4, 5].map((cookie) => request({ command: COMMAND.flush, cookie }))));
    for (const cookie of [4, 5]) assert.deepEqual(reply(client.hear(16)), [0, cookie]);
    assert.ok(on.memory.bytes.every((byte) => byte === 0), "no part of a payload");
    on.close();
  });

  test(`NbdServer has who keeps buffers at other servers of the Io cut off too (${kind})`, () => {
    const on = new TestServer({ kind });
    const neighbours = new Set<NbdServer>();
    const servers = Array.from({ length: BUFFERS + 1 }, () =>
      new NbdServer({
        io: on.io,
        log: silentLog(),
        bufferUser: new BufferUser(),
        neighbours,
        limits: { stallMs, requestsMax: 16 },
      }));
    const [last, ...deaf] = servers.map((server) => on.attach(server).client);
    for (const client of deaf) {
      client.listening = false;
      client.say(request({ command: COMMAND.read, length: BIG }));
      until(on.io, () => client.heard.length > 0, "the beginning of a reply");
    }
    last!.say(request({ command: COMMAND.read, length: BIG, cookie: 4 }));
    assert.deepEqual(reply(last!.hear(16)), [0, 4]);
    last!.hear(BIG);
    let left = servers.length;
    for (const server of servers) server.shutAll("the test is over", () => left--);
    until(on.io, () => left === 0, "the ends");
    for (const server of servers) server.close();
    assert.equal(neighbours.size, 0);
    on.close();
  });
}
