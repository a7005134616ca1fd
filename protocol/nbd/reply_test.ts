import assert from "node:assert/strict";
import fc from "fast-check";
import {
  DATA_CHUNK_BYTES,
  ERROR_CHUNK_BYTES_MAX,
  STATUS_CHUNK_BYTES,
  writeDataChunk,
  writeErrorChunk,
  writeHoleChunk,
  writeNoneChunk,
  writeStatusChunk,
} from "./chunks.ts";
import { CHUNK, WIRE_ERROR } from "./constants.ts";
import { ReplyReader } from "./reply.ts";
import { writeSimpleReply } from "./request.ts";

const COOKIE = { cookieHigh: 0x89abcdef, cookieLow: 7 };
const STRUCTURED = { structuredReplies: true };

function memoryOf(length: number) {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}

type Written = { readonly bytes: Uint8Array; readonly view: DataView; readonly end: number };

function written(write: (memory: ReturnType<typeof memoryOf>) => number): Written {
  const memory = memoryOf(128);
  return { ...memory, end: write(memory) };
}

const REPLIES: readonly (readonly [Written, Partial<ReplyReader>])[] = [
  [
    written(({ view }) => writeSimpleReply(view, 0, { ...COOKIE, error: 28 })),
    { type: -1, error: 28, isLast: true, dataBytes: 0 },
  ],
  [
    written(({ view }) => writeNoneChunk(view, 0, COOKIE)),
    { type: CHUNK.none, error: 0, isLast: true, dataBytes: 0 },
  ],
  [
    written(({ view }) => writeDataChunk(view, 0, { ...COOKIE, position: 2 ** 40, length: 4096 })),
    { type: CHUNK.offsetData, offset: 2 ** 40, dataBytes: 4096, isLast: true },
  ],
  [
    written(({ view }) => writeHoleChunk(view, 0, { ...COOKIE, position: 512, length: 2 ** 25 })),
    { type: CHUNK.offsetHole, offset: 512, holeBytes: 2 ** 25, dataBytes: 0 },
  ],
  [
    written(({ view }) => writeStatusChunk(view, 0, { ...COOKIE, contextId: 1, count: 3 })),
    { type: CHUNK.blockStatus, contextId: 1, dataBytes: 24 },
  ],
];

Deno.test("ReplyReader reads what a server writes, cut anywhere", () => {
  for (const [reply, expected] of REPLIES) {
    for (let cut = 0; cut <= reply.end; cut++) {
      const reader = new ReplyReader(STRUCTURED);
      const middle = reader.take(reply, 0, cut);
      assert.equal(middle, cut);
      if (cut < reply.end) {
        assert.equal(reader.complete, false);
        assert.equal(reader.take(reply, cut, 128), reply.end);
      }
      assert.equal(reader.broken, null);
      assert.equal(reader.complete, true);
      assert.equal(reader.cookieHigh, COOKIE.cookieHigh);
      assert.equal(reader.cookieLow, COOKIE.cookieLow);
      for (const [field, value] of Object.entries(expected)) {
        assert.equal(reader[field as keyof ReplyReader], value, field);
      }
    }
  }
});

Deno.test("the fixed parts of chunks have the sizes that buffers are made for", () => {
  assert.deepEqual(REPLIES.map(([reply]) => reply.end), [
    ...[16, 20],
    ...[DATA_CHUNK_BYTES, 32, STATUS_CHUNK_BYTES],
  ]);
});

Deno.test("ReplyReader tells an error from its text, with and without an offset", () => {
  for (const error of Object.values(WIRE_ERROR)) {
    for (const offset of [-1, 2 ** 33]) {
      const memory = memoryOf(ERROR_CHUNK_BYTES_MAX);
      const end = writeErrorChunk(memory, 0, { ...COOKIE, error, offset });
      assert.equal(end <= ERROR_CHUNK_BYTES_MAX, true);
      const reader = new ReplyReader(STRUCTURED);
      const at = reader.take(memory, 0, end);
      assert.equal(reader.broken, null);
      assert.deepEqual([reader.type, reader.error, reader.isLast], [CHUNK.error, error, true]);
      assert.equal(at + reader.dataBytes, end);
    }
  }
});

/** A chunk's header and nothing else. */
function chunk(o: { type: number; length: number; flags?: number; payload?: number[] }) {
  const memory = memoryOf(64);
  writeNoneChunk(memory.view, 0, COOKIE);
  memory.view.setUint16(4, o.flags ?? 1);
  memory.view.setUint16(6, o.type);
  memory.view.setUint32(16, o.length);
  memory.bytes.set(o.payload ?? [], 20);
  return memory;
}

Deno.test("ReplyReader refuses every chunk that cannot be, with the reason", () => {
  const cases: readonly (readonly [ReturnType<typeof memoryOf>, RegExp])[] = [
    [memoryOf(64), /magic/],
    [chunk({ type: CHUNK.none, length: 1 }), /without content of 1 bytes/],
    [chunk({ type: CHUNK.none, length: 0, flags: 0 }), /does not end its reply/],
    [chunk({ type: CHUNK.offsetData, length: 8 }), /data chunk of 8 bytes/],
    [chunk({ type: CHUNK.offsetHole, length: 13 }), /hole chunk of 13 bytes/],
    [chunk({ type: CHUNK.offsetHole, length: 12 }), /hole of no bytes/],
    [chunk({ type: CHUNK.blockStatus, length: 4 }), /status chunk of 4 bytes/],
    [chunk({ type: CHUNK.blockStatus, length: 13 }), /status chunk of 13 bytes/],
    [chunk({ type: CHUNK.blockStatus, length: 12 + 8 * 2 ** 20 }), /status chunk of/],
    [chunk({ type: 3, length: 12 }), /unknown type 3/],
    [chunk({ type: 6, length: 12 }), /unknown type 6/],
    [chunk({ type: CHUNK.error, length: 5 }), /error chunk of 5 bytes/],
    [chunk({ type: CHUNK.error, length: 2 ** 32 - 1 }), /error chunk of 4294967295 bytes/],
    [chunk({ type: CHUNK.error, length: 6 }), /without an error/],
    [chunk({ type: CHUNK.error, length: 6, payload: [0, 0, 0, 5, 0, 1] }), /longer than its/],
    [chunk({ type: CHUNK.errorOffset, length: 8, payload: [0, 0, 0, 5] }), /longer than its/],
  ];
  for (const [memory, reason] of cases) {
    const reader = new ReplyReader(STRUCTURED);
    reader.take(memory, 0, 64);
    assert.match(reader.broken ?? "", reason);
  }
  const plain = new ReplyReader();
  plain.take(chunk({ type: CHUNK.none, length: 0 }), 0, 64);
  assert.match(plain.broken ?? "", /not agreed on/);
});

Deno.test("ReplyReader takes error chunks of a kind that it does not know for errors", () => {
  const reader = new ReplyReader(STRUCTURED);
  const unknown = chunk({ type: 0x8123, length: 10, payload: [0, 0, 0, 22, 0, 2] });
  reader.take(unknown, 0, 64);
  assert.deepEqual([reader.broken, reader.type, reader.error], [null, CHUNK.error, 22]);
  assert.equal(reader.dataBytes, 4);
});

Deno.test("ReplyReader never throws, and gives the same for any division of its input", () => {
  const first = fc.constantFrom(...REPLIES.map(([reply]) => reply.bytes.slice(0, reply.end)));
  const bend = fc.tuple(fc.nat(31), fc.nat(255));
  fc.assert(fc.property(first, bend, fc.nat(40), (bytes, [place, value], cut) => {
    const memory = memoryOf(64);
    memory.bytes.set(bytes);
    memory.bytes[place] = value;
    const whole = new ReplyReader(STRUCTURED);
    const cutOne = new ReplyReader(STRUCTURED);
    const end = whole.take(memory, 0, 64);
    let at = cutOne.take(memory, 0, cut);
    if (!cutOne.complete && cutOne.broken === null) at = cutOne.take(memory, at, 64);
    assert.equal(cutOne.broken, whole.broken);
    if (whole.broken !== null) return;
    assert.equal(at, end);
    const { type, error, offset, dataBytes, holeBytes, contextId, isLast } = whole;
    const expected = { type, error, offset, dataBytes, holeBytes, contextId, isLast };
    assert.deepEqual({ ...expected, ...pick(cutOne) }, expected);
  }));
});

function pick({ type, error, offset, dataBytes, holeBytes, contextId, isLast }: ReplyReader) {
  return { type, error, offset, dataBytes, holeBytes, contextId, isLast };
}
