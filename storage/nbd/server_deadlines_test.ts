import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { MIB, NBD_NEGOTIATION_MS, NBD_STALL_MS } from "../../protocol/core/limits.ts";
import { CELL, TYPE } from "../counters/layout.ts";
import { COMMAND, OPTION, REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import type { Handle } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { TlsDoor } from "../tls/door.ts";
import { StandaloneExports } from "./server_standalone.ts";
import {
  goOption,
  HeldTimers,
  IO_KINDS,
  RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

/** Peers that are slow or say nothing, in any state, and how many of them there may be. */

const DAY_MS = 24 * 3_600_000;
/** Where time is real, it is over when a test says so: a busy machine may stand still for long. */
const NEGOTIATION_MS = { uring: DAY_MS, epoll: DAY_MS, sim: NBD_NEGOTIATION_MS };
const STALL_MS = { uring: 100, epoll: 100, sim: NBD_STALL_MS };

const NOTHING = new Uint8Array(0);
const FLAGS = encodeClientFlags(3);
const INFO = encodeOption(OPTION.info, encodeInfoRequest({ name: "disk", infos: [] }));

/** All that a client has said when it falls silent before its transmission. */
const SILENCES: Readonly<Record<string, Uint8Array>> = {
  "from the start": NOTHING,
  "within its flags": FLAGS.subarray(0, 2),
  "after its flags": FLAGS,
  "within an option's magic": concat(FLAGS, INFO.subarray(0, 5)),
  "within an option's length": concat(FLAGS, INFO.subarray(0, 14)),
  "within an option's data": concat(FLAGS, INFO.subarray(0, 18)),
  "after an option": concat(FLAGS, INFO),
  "within an unknown option": concat(FLAGS, encodeOption(99, new Uint8Array(50)).subarray(0, 30)),
  "within GO": concat(FLAGS, goOption("disk").subarray(0, -1)),
};

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer leaves who falls silent before GO at the deadline (${kind})`, () => {
    const limitMs = NEGOTIATION_MS[kind];
    const on = new TestServer({ kind, limits: { negotiationMs: limitMs } });
    const deadlines = new HeldTimers(on.io, DAY_MS);
    const { client: other } = on.attach();
    const beganMs = on.io.nowMs();
    const clients = Object.entries(SILENCES).map(([where, said]) => {
      const { client } = on.connect();
      client.say(said);
      return { where, client };
    });
    expectServed(other);
    assert.equal(on.ends.length, 0);
    deadlines.end();
    for (const { where, client } of clients) {
      until(on.io, () => client.ended, `the end of who is silent ${where}`);
    }
    until(on.io, () => on.ends.length === clients.length, "the ends");
    const lastedMs = on.io.nowMs() - beganMs;
    if (kind === "sim") {
      assert.ok(lastedMs >= limitMs && lastedMs < limitMs + 100, `${lastedMs} ms`);
    }
    assert.equal(on.server.counters.negotiating, 0);
    expectServed(other);
    on.close();
  });

  test(`NbdServer stops while clients are anywhere in the handshake (${kind})`, () => {
    const later: (() => void)[] = [];
    const on: TestServer = new TestServer({
      kind,
      gate: {
        list: () => [],
        find: () => ({ refused: REPLY_ERROR.unknown, text: "not here" }),
        privateOption: (_connection, _request, answer) => {
          later.push(() => answer({ kind: "answer", payload: NOTHING }));
        },
        ended: (_connection, how) => on.ends.push(how),
      },
    });
    const asking = concat(FLAGS, encodeOption(0x64560001, NOTHING));
    const said = [...Object.values(SILENCES), asking, concat(asking, INFO)];
    for (const bytes of said) on.connect().client.say(bytes);
    until(on.io, () => later.length === 2, "the gate to be asked");
    let empty = false;
    on.server.drain(() => empty = true);
    until(on.io, () => empty, "the end of all of them");
    assert.equal(on.ends.length, said.length);
    // Nobody is there any more to be answered.
    for (const answer of later) answer();
    for (let i = 0; i < 3; i++) on.io.turn(1);
    on.close();
  });

  test(`NbdServer leaves who falls silent within TLS's handshake (${kind})`, () => {
    const on = new TestServer({ kind, limits: { negotiationMs: NEGOTIATION_MS[kind] } });
    const deadlines = new HeldTimers(on.io, DAY_MS);
    const kept: Handle[] = [];
    // Nobody shakes hands behind this door.
    const door: TlsDoor = {
      policy: "require",
      secure: (socket) => {
        const [ours, theirs] = on.io.socketPair();
        kept.push(socket, theirs);
        return ours;
      },
      ended: () => {},
    };
    const listener = on.server.listenTcp({ address: "127.0.0.1", port: 0 }, on.gate, door);
    const connect = new Operation(() => {});
    on.io.connectTcp(connect, listener.address!);
    until(on.io, () => !connect.busy, "the connection");
    const client = new RawClient(on.io, connect.result);
    client.listen();
    client.say(FLAGS, encodeOption(OPTION.startTls, NOTHING));
    client.hear(18 + 20);
    deadlines.end();
    until(on.io, () => on.ends.length === 1, "the end");
    assert.equal(on.server.counters.negotiating, 0);
    for (const handle of kept) on.io.close(handle);
    listener.close();
    on.close();
  });

  test(`NbdServer cuts off who keeps buffers within a payload, for others (${kind})`, () => {
    const on = new TestServer({ kind, limits: { stallMs: STALL_MS[kind] } });
    const stalls = new HeldTimers(on.io, STALL_MS[kind]);
    const payload = new Uint8Array(MIB).fill(3);
    const first = write(0, payload);
    // All buffers of this size, and then silence.
    const silent = Array.from({ length: 4 }, () => on.attach().client);
    for (const client of silent) client.say(first.subarray(0, 1000));
    // A request is counted as it takes its buffer; what is received takes buffers as well.
    const begun = () => on.counted().cells[CELL.requests + TYPE.write];
    until(on.io, () => begun() === 4, "the buffers");
    const { client } = on.attach();
    const isCut = () => silent.some((one) => one.ended);
    expectServed(client);
    assert.equal(isCut(), false, "nobody is cut off while nobody waits");
    // Who had to wait for a moment until now counts for nothing, however long it has lasted.
    stalls.end();
    on.io.turn(0);
    client.say(write(MIB, payload, 9).subarray(0, 100));
    until(on.io, isCut, "that somebody is cut off");
    client.say(write(MIB, payload, 9).subarray(100));
    assert.deepEqual(reply(client.hear(16)), [0, 9]);
    assert.ok(on.memory.bytes.subarray(0, MIB).every((byte) => byte === 0), "no half payload");
    on.close();
  });

  test(`NbdServer keeps few connections of strangers out of few in all (${kind})`, () => {
    const on = new TestServer({ kind, limits: { connectionsMax: 4 } });
    const strangers = Array.from({ length: 6 }, () => on.connect());
    const friends = [on.attach(), on.attach(), on.attach()];
    until(on.io, () => strangers.slice(0, 5).every(({ client }) => client.ended), "their ends");
    for (const { client } of friends) expectServed(client);
    const late = [on.connect(), on.connect()];
    until(on.io, () => on.server.counters.connections <= 4, "no more than there may be");
    for (const { client } of friends) expectServed(client);
    assert.ok(on.server.counters.turnedAway >= 5);
    assert.ok(late.some(({ connection }) => connection !== null));
    on.close();
  });
}

Deno.test("NbdServer keeps who says nothing in transmission, for days", () => {
  const on = new TestServer({ kind: "sim" });
  const { client } = on.attach();
  const { client: midway } = on.attach();
  const flush = request({ command: COMMAND.flush, cookie: 5 });
  midway.say(flush.subarray(0, 13));
  const untilMs = on.io.nowMs() + DAY_MS;
  while (on.io.nowMs() < untilMs) on.io.turn(untilMs - on.io.nowMs());
  expectServed(client);
  midway.say(flush.subarray(13));
  assert.deepEqual(reply(midway.hear(16)), [0, 5]);
  on.close();
});

Deno.test("StandaloneExports lets so many in to each export, and others when one has left", () => {
  const exports = new StandaloneExports({ connectionsMax: 2 });
  const on: TestServer = new TestServer({
    kind: "sim",
    gate: {
      list: () => exports.list(),
      find: (connection, name) => exports.find(connection, name),
      privateOption: () => {},
      ended: (_connection, how) => on.ends.push(how),
    },
  });
  exports.add("disk", on.device);
  exports.add("other", on.memory);
  const { client: first } = on.attach();
  on.attach();
  const { client: third } = on.connect();
  third.say(FLAGS, INFO, goOption("disk"));
  third.hear(18);
  for (let i = 0; i < 2; i++) assert.equal(refusalOf(third), REPLY_ERROR.policy);
  third.say(goOption("other"));
  third.hear(32 + 20);
  expectServed(third);
  first.say(request({ command: COMMAND.disconnect }));
  until(on.io, () => on.ends.length === 1, "that one leaves");
  expectServed(on.attach().client);
  on.close();
});

/** The next option reply's type; its text is passed over. */
function refusalOf(client: RawClient): number {
  const head = viewOf(client.hear(20));
  client.hear(head.getUint32(16));
  return head.getUint32(12);
}

function expectServed(client: RawClient): void {
  client.say(request({ command: COMMAND.flush, cookie: 7 }));
  assert.deepEqual(reply(client.hear(16)), [0, 7]);
}
