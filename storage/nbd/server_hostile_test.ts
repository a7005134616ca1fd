import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { COMMAND, OPTION, SIMPLE_REPLY_MAGIC } from "../../protocol/nbd/constants.ts";
import { encodeMetaContextRequest } from "../../protocol/nbd/meta_contexts.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { SimIo } from "../io/sim.ts";
import {
  goOption,
  HeldTimers,
  IO_KINDS,
  type RawClient,
  reply,
  request,
  TestServer,
  until,
  write,
} from "./server_testing.ts";

/** What breaks servers (reference of NBD, "What breaks servers"), against every Io. */

const KIB = 1024;
const MIB = KIB * KIB;
const HUGE = 2 ** 32 - 1;

/** Runs for each Io; the server must be whole at the end, and have all its buffers back. */
function test(name: string, run: (on: TestServer) => void): void {
  for (const kind of IO_KINDS) {
    testOn(kind)(`${name} (${kind})`, () => {
      const on = new TestServer({ kind });
      run(on);
      const { client } = on.attach();
      client.say(request({ command: COMMAND.flush, cookie: 77 }));
      assert.deepEqual(reply(client.hear(16)), [0, 77], "others are served");
      on.close();
    });
  }
}

const FLAGS = encodeClientFlags(3);
const STRUCTURED = encodeOption(OPTION.structuredReply, new Uint8Array(0));
const CONTEXT = encodeOption(
  OPTION.setMetaContext,
  encodeMetaContextRequest({ name: "disk", queries: ["base:allocation"] }),
);

/** A whole exchange, cut where its fields end. */
const FIELDS: readonly Uint8Array[] = [
  FLAGS,
  ...cut(STRUCTURED, 8, 12, 16),
  ...cut(CONTEXT, 8, 12, 16, 20, 24, 28, 32),
  ...cut(goOption("disk"), 8, 12, 16, 20, 24),
  ...cut(request({ command: COMMAND.read, length: 4096, cookie: 1 }), 4, 6, 8, 16, 24),
  ...cut(request({ command: COMMAND.blockStatus, length: 16 * KIB, cookie: 2 }), 4, 8, 16, 24),
  ...cut(write(8192, new Uint8Array(600).fill(0xee), 3), 4, 8, 16, 24, 28, 29, 600),
  ...cut(request({ command: COMMAND.flush, cookie: 4 }), 4, 8, 16, 24),
  request({ command: COMMAND.disconnect }),
];
const EXCHANGE = concat(...FIELDS);

function cut(bytes: Uint8Array, ...ends: readonly number[]): Uint8Array[] {
  return [...ends, bytes.length].map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

/** Ends of the fields; of the exchange on the simulated Io, every byte. */
function placesOf(on: TestServer): number[] {
  if (on.io.kind === "sim") return Array.from({ length: EXCHANGE.length }, (_, i) => i);
  let at = 0;
  return FIELDS.map((field) => at += field.length).slice(0, -1);
}

function endsAfter(on: TestServer, before: number): void {
  until(on.io, () => on.ends.length > before, "the connection's end");
}

const PAYLOAD_END = EXCHANGE.length - 2 * 28;

test("NbdServer survives a close at any place of an exchange, and no part of a payload", (on) => {
  for (const place of placesOf(on)) {
    on.memory.bytes.fill(0, 0, 16 * KIB);
    const { client } = on.connect();
    const before = on.ends.length;
    client.say(EXCHANGE.subarray(0, place));
    client.close();
    endsAfter(on, before);
    const written = on.memory.bytes.subarray(8192, 8792).filter((byte) => byte === 0xee).length;
    // Whole, the payload may still be lost with what was not read when the socket closed.
    const allowed = place >= PAYLOAD_END ? [0, 600] : [0];
    assert.ok(allowed.includes(written), `${written} bytes after a cut at ${place}`);
  }
});

test("NbdServer survives a reset at any place of an exchange", (on) => {
  for (const place of placesOf(on)) {
    const { client } = on.connect();
    const before = on.ends.length;
    client.say(EXCHANGE.subarray(0, place));
    // What was not read when it closes makes a reset of it; the simulated network is asked for one.
    if (on.io instanceof SimIo) on.io.reset(client.handle);
    else client.listening = false;
    client.close();
    endsAfter(on, before);
  }
});

/** An option's header that claims a length, and what comes behind. */
function claiming(option: number, length: number, data: Uint8Array): Uint8Array {
  const bytes = encodeOption(option, data);
  viewOf(bytes).setUint32(12, length);
  return bytes;
}

const named = (option: number, name: Uint8Array, count = 0) => {
  const data = concat(new Uint8Array(4), name, new Uint8Array(2));
  viewOf(data).setUint32(0, name.length);
  viewOf(data).setUint16(4 + name.length, count);
  return encodeOption(option, data);
};

test("NbdServer stays in step through options that are wrong in every way", (on) => {
  const { client } = on.connect();
  const letters = (count: number) => new Uint8Array(count).fill(0x61);
  const wrong = [
    ...[0, 4096, 4097].map((count) => named(OPTION.info, letters(count))),
    named(OPTION.info, Uint8Array.of(0x61, 0, 0x61)),
    named(OPTION.info, Uint8Array.of(0xc3, 0x28)),
    named(OPTION.info, letters(4), 1),
    ...Object.values(OPTION)
      .filter((option) => option !== OPTION.exportName && option !== OPTION.abort)
      .flatMap((option) => [1, 3, 7, 20_000].map((count) => encodeOption(option, letters(count)))),
    ...Array.from({ length: 2000 }, (_, i) => encodeOption(1000 + i, letters(i % 7))),
  ];
  client.say(FLAGS, ...wrong, goOption("disk"), request({ command: COMMAND.flush, cookie: 5 }));
  until(on.io, () => client.heard.length >= 2048 * 20, "the answers");
  const isReply = () => viewOf(client.heard.slice(-16)).getUint32(0) === SIMPLE_REPLY_MAGIC;
  until(on.io, isReply, "the flush");
  assert.deepEqual(reply(client.heard.slice(-16)), [0, 5]);
});

test("NbdServer drains an option of 4 GiB without keeping it, and can be left then", (on) => {
  const taken = on.io.buffers.taken;
  for (const option of [OPTION.list, OPTION.go, OPTION.setMetaContext, 0x64560001, 0xffff]) {
    const { client } = on.connect();
    const before = on.ends.length;
    client.say(FLAGS, claiming(option, HUGE, new Uint8Array(64 * KIB)));
    assert.ok(on.io.buffers.taken <= taken + 2, "nothing is kept");
    client.close();
    endsAfter(on, before);
  }
});

/** A request with a position of any 64 bits. */
function at(command: number, position: bigint, length: number): Uint8Array {
  const bytes = request({ command, length, cookie: 3 });
  viewOf(bytes).setBigUint64(16, position);
  return bytes;
}

test("NbdServer refuses what lies past 2^31, 2^32, 2^63 and 2^64, and lives", (on) => {
  const { client } = on.attach();
  const edges = [31n, 32n, 53n, 63n].flatMap((bits) => [-1n, 0n, 1n].map((d) => 2n ** bits + d));
  const errors: Record<number, number> = {
    [COMMAND.read]: 22,
    [COMMAND.trim]: 22,
    [COMMAND.cache]: 22,
    [COMMAND.writeZeroes]: 28,
  };
  for (const position of [...edges, 2n ** 64n - 1n, 2n ** 64n - 512n]) {
    for (const [command, error] of Object.entries(errors)) {
      for (const length of [1, 512, 2 ** 31 - 1, 2 ** 31, HUGE]) {
        const isTooLong = Number(command) === COMMAND.read && length > 32 * MIB;
        client.say(at(Number(command), position, length));
        assert.deepEqual(reply(client.hear(16)), [isTooLong ? 22 : error, 3]);
      }
    }
  }
  assert.ok(on.memory.bytes.every((byte) => byte === 0));
});

function trickle(on: TestServer, client: RawClient, bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length && !client.ended; i++) {
    client.say(bytes.subarray(i, i + 1));
    const untilMs = on.io.nowMs() + 1000;
    until(on.io, () => client.ended || on.io.nowMs() >= untilMs, "a second");
  }
}

Deno.test("NbdServer gives whom sends a byte a second the time that anybody has to come in", () => {
  for (const place of [0, 4, 20, 40]) {
    const on = new TestServer({ kind: "sim" });
    const { client } = on.connect();
    const beganMs = on.io.nowMs();
    client.say(EXCHANGE.subarray(0, place));
    trickle(on, client, EXCHANGE.subarray(place));
    assert.equal(client.ended, true);
    const lastedMs = on.io.nowMs() - beganMs;
    assert.ok(lastedMs >= 9_000 && lastedMs <= 12_000, `${lastedMs} ms`);
    on.close();
  }
});

for (const kind of ["uring", "epoll"] as const) {
  const test = testOn(kind);
  test(`NbdServer gives whom sends byte after byte no more time than others (${kind})`, () => {
    const negotiationMs = 3_600_000;
    // Flags, and an option without an end in sight: every byte of it is welcome.
    const endless = concat(EXCHANGE.subarray(0, 4), encodeOption(99, new Uint8Array(MIB)));
    for (const place of [0, 4, 20]) {
      const on = new TestServer({ kind, limits: { negotiationMs } });
      const deadline = new HeldTimers(on.io, negotiationMs);
      const { client } = on.connect();
      client.say(endless.subarray(0, place));
      let at = place;
      const speak = () => client.say(endless.subarray(at, ++at));
      while (at < place + 300) speak();
      assert.equal(client.ended, false);
      assert.equal(deadline.asked, 1, "what it says is no reason for another one");
      deadline.end();
      until(on.io, () => {
        if (!client.ended) speak();
        return client.ended;
      }, "the end of who never ends");
      on.close();
    }
  });
}
