import assert from "node:assert/strict";
import fc from "fast-check";
import { CHUNK, CHUNK_MAGIC, COMMAND, COMMAND_FLAGS } from "../../protocol/nbd/constants.ts";
import { writeSimpleReply } from "../../protocol/nbd/request.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { ReplyIntake } from "./client_replies.ts";
import { ClientRequest } from "./client_request.ts";

const TERMS = { flags: 0xffff, structuredReplies: true, allocationId: 7 };
const PLACE = 64 * 1024;

interface Asked {
  readonly command?: number;
  readonly position?: number;
  readonly length?: number;
  readonly flags?: number;
  readonly countMax?: number;
}

/** One request whose cookie is 1, and what becomes of the replies to it. */
class Bench {
  readonly io = new SimIo({
    world: new SimWorld(),
    arena: { classes: [{ bytes: 256 * 1024, count: 1 }], receiveBuffers: 2 },
  });
  readonly base = this.io.buffers.take(256 * 1024);
  readonly request = new ClientRequest();
  dropped: string | null = null;
  replies = 0;
  readonly intake: ReplyIntake;

  constructor(asked: Asked, terms = TERMS) {
    const { command = COMMAND.read, position = 1000, length = 100 } = asked;
    const { flags = 0, countMax = 4 } = asked;
    Object.assign(this.request, { command, position, length, flags, countMax });
    this.request.off = this.base + PLACE;
    this.io.bytes.fill(0xee, this.base, this.base + 256 * 1024);
    this.intake = new ReplyIntake(this.io, {
      find: (_high, low) => low === 1 ? this.request : null,
      replied: (request) => {
        request.answered = true;
        this.replies++;
      },
      drop: (reason) => this.dropped = reason,
    }, terms);
  }

  /** Takes the bytes in pieces of `step`; what became of it. */
  take(bytes: Uint8Array, step = bytes.length): this {
    for (let at = 0; at < bytes.length && this.dropped === null; at += step) {
      const piece = bytes.subarray(at, at + step);
      this.io.bytes.set(piece, this.base);
      this.intake.take(this.base, this.base + piece.length);
    }
    return this;
  }

  get data(): Uint8Array {
    const { off, length } = this.request;
    return this.io.bytes.slice(off, off + length);
  }
}

/** A chunk with numbers as payload: [value, bytes] pairs, then bytes. */
function chunk(
  type: number,
  fields: readonly (readonly [number, number])[],
  o: { last?: boolean; data?: Uint8Array; cookie?: number } = {},
): Uint8Array {
  const { last = true, data = new Uint8Array(0), cookie = 1 } = o;
  const fixed = fields.reduce((sum, [, size]) => sum + size, 0);
  const bytes = new Uint8Array(20 + fixed + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, CHUNK_MAGIC);
  view.setUint16(4, last ? 1 : 0);
  view.setUint16(6, type);
  view.setUint32(12, cookie);
  view.setUint32(16, bytes.length - 20);
  let at = 20;
  for (const [value, size] of fields) {
    if (size === 8) view.setBigUint64(at, BigInt(value));
    else if (size === 4) view.setUint32(at, value);
    else view.setUint16(at, value);
    at += size;
  }
  bytes.set(data, at);
  return bytes;
}

const data = (offset: number, length: number, last = true) =>
  chunk(CHUNK.offsetData, [[offset, 8]], { last, data: new Uint8Array(length).fill(offset) });
const hole = (offset: number, length: number, last = true) =>
  chunk(CHUNK.offsetHole, [[offset, 8], [length, 4]], { last });
const none = chunk(CHUNK.none, []);
const failure = (last: boolean, error = 5) =>
  chunk(CHUNK.error, [[error, 4], [3, 2]], { last, data: new Uint8Array(3) });
const status = (runs: readonly number[], o: { id?: number; last?: boolean } = {}) =>
  chunk(
    CHUNK.blockStatus,
    [[o.id ?? 7, 4] as const, ...runs.flatMap((run) => [[run, 4], [3, 4]] as const)],
    { last: o.last ?? true },
  );

function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

const RIGHT: readonly (readonly [string, Asked, Uint8Array])[] = [
  ["one data chunk", {}, data(1000, 100)],
  ["one hole", {}, hole(1000, 100)],
  ["pieces in any order", {}, join(data(1050, 50, false), hole(1000, 50, false), none)],
  ["an error in the middle", {}, join(data(1000, 10, false), failure(false), none)],
  ["an error at the end", {}, join(data(1000, 10, false), failure(true))],
  ["an error alone", {}, failure(true)],
  ["a status", { command: COMMAND.blockStatus }, status([10, 20, 30])],
  ["a status that goes on behind", { command: COMMAND.blockStatus }, status([10, 4096])],
  ["a status of many runs", { command: COMMAND.blockStatus }, status([1, 2, 3, 4, 5, 6, 7])],
  ["nothing for a flush", { command: COMMAND.flush, length: 0 }, none],
];

Deno.test("ReplyIntake takes what a server may send, in pieces of any size", () => {
  for (const [what, asked, bytes] of RIGHT) {
    for (let step = 1; step <= bytes.length; step++) {
      const bench = new Bench(asked).take(bytes, step);
      assert.deepEqual([bench.dropped, bench.replies], [null, 1], `${what} by ${step}`);
    }
  }
  const pieces = new Bench({}).take(RIGHT[2]![2]);
  assert.deepEqual(pieces.data, new Uint8Array(100).fill(1050 & 255, 50));
  assert.equal(new Bench({}).take(failure(true)).request.error, 5);
  const twice = new Bench({}).take(join(failure(false, 28), failure(true)));
  assert.equal(twice.request.error, 28, "the first is what went wrong");
});

Deno.test("ReplyIntake ends a status where its request ends, and keeps what there is room for", () => {
  const asked = { command: COMMAND.blockStatus, countMax: 2 };
  const clipped = new Bench(asked).take(status([10, 4096]));
  assert.deepEqual([...clipped.data.subarray(8, 12)], [0, 0, 0, 90]);
  const cut = new Bench(asked).take(status([10, 20, 30, 40]));
  assert.equal(cut.request.count, 2);
  assert.equal(cut.data[16], 0xee);
});

const statusAsked = { command: COMMAND.blockStatus };
const WRONG: readonly (readonly [RegExp, Asked, Uint8Array])[] = [
  [/no request/, {}, chunk(CHUNK.none, [], { cookie: 2 })],
  [/overlaps/, {}, join(data(1000, 60, false), data(1059, 41))],
  [/overlaps/, {}, join(data(1000, 100, false), hole(1000, 1))],
  [/overlaps/, {}, join(hole(1010, 10, false), data(1000, 100))],
  [/outside/, {}, data(999, 10)],
  [/outside/, {}, data(1091, 10)],
  // As long as what was asked for, and from elsewhere.
  [/outside/, {}, data(1001, 100)],
  [/outside/, {}, data(999, 100)],
  [/outside/, {}, hole(1100, 100)],
  [/outside/, {}, hole(1000, 2 ** 32 - 1)],
  [/outside/, {}, hole(2 ** 53, 1)],
  [/before all of it/, {}, join(data(1000, 99, false), none)],
  [/before all of it/, {}, none],
  [/no READ/, { command: COMMAND.write }, data(1000, 100)],
  [/no READ/, { command: COMMAND.trim }, hole(1000, 100)],
  [/another kind/, {}, status([10])],
  [/context 8/, statusAsked, status([10], { id: 8 })],
  [/second status/, statusAsked, join(status([10], { last: false }), status([10]))],
  [/empty run/, statusAsked, status([10, 0])],
  [/goes on behind/, statusAsked, status([100, 1])],
  [/goes on behind/, { ...statusAsked, countMax: 1 }, status([100, 1])],
  [/before all of it/, statusAsked, none],
  [/one was asked/, { ...statusAsked, flags: COMMAND_FLAGS.reqOne }, status([10, 20])],
  [/longer than asked/, { ...statusAsked, flags: COMMAND_FLAGS.reqOne }, status([101])],
  [/unknown type/, {}, chunk(9, [])],
];

Deno.test("ReplyIntake drops every reply that cannot be, by name, at whatever byte it comes", () => {
  for (const [reason, asked, bytes] of WRONG) {
    for (const step of [1, 7, bytes.length]) {
      const bench = new Bench(asked).take(bytes, step);
      assert.match(bench.dropped ?? "not dropped", reason);
      assert.equal(bench.replies, 0);
    }
  }
  const scattered = Array.from({ length: 70 }, (_, i) => data(1000 + 2 * i, 1, false));
  assert.match(new Bench({ length: 200 }).take(join(...scattered)).dropped ?? "", /scattered/);
});

Deno.test("ReplyIntake holds READ and BLOCK_STATUS to structured replies where agreed", () => {
  const simple = new Uint8Array(16);
  writeSimpleReply(new DataView(simple.buffer), 0, { cookieHigh: 0, cookieLow: 1, error: 0 });
  assert.match(new Bench({}).take(simple).dropped ?? "", /must be structured/);
  assert.match(new Bench(statusAsked).take(simple).dropped ?? "", /must be structured/);
  assert.equal(new Bench({ command: COMMAND.write }).take(simple).replies, 1);
  const plain = { ...TERMS, structuredReplies: false };
  const bench = new Bench({}, plain).take(join(simple, new Uint8Array(100).fill(9)));
  assert.deepEqual([bench.replies, bench.data[99]], [1, 9]);
  assert.match(new Bench({}, plain).take(none).dropped ?? "", /not agreed/);
});

Deno.test("ReplyIntake never writes outside of its request, whatever comes", () => {
  const parts = fc.array(
    fc.oneof(
      fc.tuple(fc.nat(1200), fc.nat(150)).map(([at, length]) => data(at, length + 1, false)),
      fc.tuple(fc.nat(1200), fc.nat(150)).map(([at, length]) => hole(at, length + 1, false)),
      fc.array(fc.nat(200), { minLength: 1, maxLength: 9 }).map((runs) => status(runs)),
      fc.uint8Array({ maxLength: 40 }),
    ),
    { maxLength: 6 },
  );
  const command = fc.constantFrom(COMMAND.read, COMMAND.blockStatus, COMMAND.write);
  fc.assert(fc.property(parts, command, fc.integer({ min: 1, max: 64 }), (said, kind, step) => {
    const bench = new Bench({ command: kind }).take(join(...said), step);
    const { bytes } = bench.io;
    const begin = bench.request.off;
    const room = Math.max(100, 8 * bench.request.countMax);
    assert.equal(bytes.subarray(begin - 64, begin).every((byte) => byte === 0xee), true);
    const behind = bytes.subarray(begin + room, begin + room + 4096);
    assert.equal(behind.every((byte) => byte === 0xee), true);
    assert.equal(bench.replies <= 1, true);
  }));
});
