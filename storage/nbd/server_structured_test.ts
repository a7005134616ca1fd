import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { CHUNK, COMMAND, COMMAND_FLAGS, OPTION, STATE } from "../../protocol/nbd/constants.ts";
import { encodeMetaContextRequest } from "../../protocol/nbd/meta_contexts.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { ReplyReader } from "../../protocol/nbd/reply.ts";
import { MemoryDevice } from "../devices/memory.ts";
import {
  goOption,
  IO_KINDS,
  type RawClient,
  request,
  TestServer,
  write,
} from "./server_testing.ts";

const KIB = 1024;
const MIB = KIB * KIB;
const HOLE = STATE.hole | STATE.zero;

/** Registers a test for each Io. */
function test(name: string, run: (on: TestServer) => void): void {
  for (const kind of IO_KINDS) {
    testOn(kind)(`${name} (${kind})`, () => {
      const on = new TestServer({ kind });
      run(on);
      on.close();
    });
  }
}

/** A client in transmission with structured replies and base:allocation. */
function attach(on: TestServer): RawClient {
  const { client } = on.connect();
  const context = encodeMetaContextRequest({ name: "disk", queries: ["base:allocation"] });
  client.say(
    encodeClientFlags(3),
    encodeOption(OPTION.structuredReply, new Uint8Array(0)),
    encodeOption(OPTION.setMetaContext, context),
    goOption("disk"),
  );
  client.hear(18 + 20 + (20 + 4 + 15) + 20 + 32 + 20);
  return client;
}

interface Heard {
  readonly type: number;
  readonly cookie: number;
  readonly error: number;
  readonly offset: number;
  readonly holeBytes: number;
  /** Data, descriptors or an error's text. */
  readonly data: Uint8Array;
}

/** The next reply: every chunk is its reply's last. */
function hear(client: RawClient): Heard {
  const reader = new ReplyReader({ structuredReplies: true });
  while (!reader.complete) {
    const bytes = client.hear(1);
    reader.take({ bytes, view: new DataView(bytes.buffer) }, 0, 1);
    assert.equal(reader.broken, null);
  }
  assert.equal(reader.isLast, true);
  const { type, cookieLow: cookie, error, offset, holeBytes } = reader;
  return { type, cookie, error, offset, holeBytes, data: client.hear(reader.dataBytes) };
}

function runsOf(heard: Heard): [number, number][] {
  assert.deepEqual([heard.type, heard.error], [CHUNK.blockStatus, 0]);
  const view = new DataView(heard.data.buffer);
  const count = heard.data.length / 8;
  return Array.from(
    { length: count },
    (_, i) => [view.getUint32(8 * i), view.getUint32(8 * i + 4)],
  );
}

test("NbdServer answers READ with one data chunk, and zeroes with a hole", (on) => {
  const client = attach(on);
  on.memory.bytes.fill(7, 100, 200);
  on.memory.bytes[64 * KIB + 4095] = 1;
  client.say(request({ command: COMMAND.read, position: 50, length: 100, cookie: 3 }));
  const data = hear(client);
  assert.deepEqual([data.type, data.cookie, data.offset], [CHUNK.offsetData, 3, 50]);
  assert.deepEqual(data.data, on.memory.bytes.slice(50, 150));
  const hole = { command: COMMAND.read, position: MIB, length: MIB, cookie: 4 };
  for (const flags of [0, COMMAND_FLAGS.df]) {
    client.say(request({ ...hole, flags }));
    const { type, offset, holeBytes } = hear(client);
    assert.deepEqual([type, offset, holeBytes], [CHUNK.offsetHole, MIB, MIB]);
  }
  // One byte that is not zero makes all of it data, wherever it is.
  client.say(request({ command: COMMAND.read, position: 64 * KIB, length: 4096 }));
  assert.equal(hear(client).data[4095], 1);
  client.say(request({ command: COMMAND.read, position: 64 * KIB, length: 4095 }));
  assert.equal(hear(client).type, CHUNK.offsetData);
  client.say(request({ command: COMMAND.read, position: 0, length: 0, cookie: 9 }));
  assert.deepEqual([hear(client).type], [CHUNK.none]);
});

test("NbdServer answers errors of READ in chunks, with a text, and lives on", (on) => {
  const client = attach(on);
  const read = { command: COMMAND.read, length: 512 };
  client.say(request({ ...read, position: 4 * MIB - 256, cookie: 1 }));
  const past = hear(client);
  assert.deepEqual([past.type, past.cookie, past.error], [CHUNK.error, 1, 22]);
  assert.match(new TextDecoder().decode(past.data.subarray(0, -8)), /does not fit/);
  const where = new DataView(past.data.buffer).getBigUint64(past.data.length - 8);
  assert.equal(where, BigInt(4 * MIB), "where it runs off the end");
  client.say(request({ ...read, position: 2 ** 52, cookie: 2 }));
  assert.equal(hear(client).error, 22);
  client.say(request({ ...read, flags: COMMAND_FLAGS.noHole, cookie: 3 }));
  assert.equal(hear(client).error, 22);
  on.device.set("read", { kind: "fail", errno: 121 });
  client.say(request({ ...read, cookie: 4 }));
  assert.equal(hear(client).error, 5);
  on.device.set("read", null);
  // Other errors have a text too; what succeeds without content is a simple reply.
  client.say(write(4 * MIB - 1, new Uint8Array(2), 5), request({ command: COMMAND.flush }));
  assert.deepEqual([hear(client).error, hear(client).type], [28, -1]);
});

test("NbdServer tells how blocks are allocated, clipped, one run for REQ_ONE", (on) => {
  const client = attach(on);
  on.memory.bytes.fill(1, MIB, MIB + 8192);
  const status = { command: COMMAND.blockStatus, position: 0, length: 4 * MIB };
  client.say(request(status));
  assert.deepEqual(runsOf(hear(client)), [[MIB, HOLE], [8192, 0], [3 * MIB - 8192, HOLE]]);
  client.say(request({ ...status, flags: COMMAND_FLAGS.reqOne }));
  assert.deepEqual(runsOf(hear(client)), [[MIB, HOLE]]);
  client.say(request({ ...status, position: MIB + 512, length: 512 }));
  assert.deepEqual(runsOf(hear(client)), [[512, 0]]);
  client.say(request({ ...status, position: 1 }));
  assert.equal(hear(client).error, 22);
  client.say(request({ ...status, length: 0 }));
  assert.equal(hear(client).error, 22);
  on.device.set("advise", { kind: "fail", errno: 5 });
  client.say(request(status));
  assert.deepEqual([hear(client).error], [5]);
});

test("NbdServer bounds the runs of one answer, and goes on behind them", (on) => {
  const client = attach(on);
  for (let page = 0; page < 1024; page += 2) on.memory.bytes[page * 4096] = 1;
  let position = 0;
  let answers = 0;
  while (position < 4 * MIB) {
    client.say(request({ command: COMMAND.blockStatus, position, length: 4 * MIB - position }));
    const runs = runsOf(hear(client));
    assert.equal(runs.length <= 256, true);
    for (const [length, flags] of runs) {
      assert.deepEqual([length, flags], [4096, (position / 4096) % 2 === 0 ? 0 : HOLE]);
      position += length;
    }
    answers++;
  }
  assert.equal(answers, 4);
});

test("NbdServer takes BLOCK_STATUS for invalid where no context was selected", (on) => {
  const { client } = on.attach();
  client.say(request({ command: COMMAND.blockStatus, length: 512 }));
  assert.deepEqual([...client.hear(16)].slice(4, 8), [0, 0, 0, 22]);
});

test("NbdServer takes CACHE and FAST_ZERO, and says at once when zeroing would be slow", (on) => {
  const client = attach(on);
  on.memory.bytes.fill(1, 0, 8192);
  client.say(request({ command: COMMAND.cache, length: 4 * MIB, cookie: 1 }));
  assert.deepEqual([hear(client).error], [0]);
  const zero = { command: COMMAND.writeZeroes, length: 4096, flags: COMMAND_FLAGS.fastZero };
  client.say(request(zero));
  assert.equal(hear(client).error, 0);
  assert.deepEqual([on.memory.bytes[4095], on.memory.bytes[4096]], [0, 1]);
  on.device.set("zero", { kind: "fail", errno: 95 });
  client.say(request(zero));
  assert.equal(hear(client).error, 95);
  assert.equal(on.lines.length, 0, "that it would be slow is no fault of the device");
  // Without the flag ENOTSUP is no answer.
  client.say(request({ ...zero, flags: 0 }));
  assert.equal(hear(client).error, 5);
  assert.equal(on.lines.length, 1);
});

test("NbdServer tells a device of each flag of each WRITE_ZEROES: NO_HOLE, FAST_ZERO and FUA", (on) => {
  const client = attach(on);
  const { memory } = on;
  const { noHole, fua, fastZero } = COMMAND_FLAGS;
  let seen = -1;
  const zero = memory.zero.bind(memory);
  memory.zero = (operation, at, isDurable) => {
    seen = (at.mayDiscard ? 0 : noHole) | (at.fast ? fastZero : 0) | (isDurable ? fua : 0);
    zero(operation, at, isDurable);
  };
  // Any of the eight after another: nothing of the one before stays.
  const all = [0, noHole, fastZero, fua, noHole | fua, noHole | fastZero, fua | fastZero];
  for (const flags of [...all, noHole | fastZero | fua, ...all]) {
    client.say(request({ command: COMMAND.writeZeroes, length: 4096, flags }));
    assert.equal(hear(client).error, 0);
    assert.equal(seen, flags);
  }
});

test("NbdServer answers everything of every kind that DISC finds outstanding", (on) => {
  const client = attach(on);
  on.memory.bytes.fill(5, 0, MIB);
  const kinds = [COMMAND.read, COMMAND.blockStatus, COMMAND.cache, COMMAND.trim, COMMAND.flush];
  const requests = Array.from({ length: 64 }, (_, cookie) =>
    request({
      command: kinds[cookie % kinds.length]!,
      position: 4096 * cookie,
      length: cookie % kinds.length === 4 ? 0 : 4096,
      cookie,
    }));
  client.say(...requests, request({ command: COMMAND.disconnect }));
  const cookies = Array.from({ length: 64 }, () => hear(client).cookie);
  assert.deepEqual(cookies.sort((a, b) => a - b), Array.from({ length: 64 }, (_, i) => i));
});

for (const kind of IO_KINDS) {
  testOn(kind)(`NbdServer refuses changes of what is read-only, in step (${kind})`, () => {
    let memory: MemoryDevice | null = null;
    const on = new TestServer({
      kind,
      device: (io) => {
        memory = new MemoryDevice({ io, sizeBytes: MIB });
        const traits = { ...memory.traits, readOnly: true };
        return Object.defineProperty(memory, "traits", { value: traits });
      },
    });
    const client = attach(on);
    // A payload that comes with its header, and one that does not.
    for (const length of [600, 100 * KIB]) client.say(write(0, new Uint8Array(length).fill(1)));
    for (const command of [COMMAND.writeZeroes, COMMAND.trim]) {
      client.say(request({ command, length: 4096 }));
    }
    for (let i = 0; i < 4; i++) assert.deepEqual([hear(client).error], [1], `the ${i}th`);
    for (const command of [COMMAND.read, COMMAND.cache, COMMAND.blockStatus, COMMAND.flush]) {
      client.say(request({ command, length: command === COMMAND.flush ? 0 : 4096, cookie: 8 }));
      const { error, cookie } = hear(client);
      assert.deepEqual([error, cookie], [0, 8]);
    }
    assert.ok(memory!.bytes.every((byte) => byte === 0));
    on.close();
  });
}
