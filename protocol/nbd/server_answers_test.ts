import assert from "node:assert/strict";
import { concat, utf8, viewOf } from "../core/bytes.ts";
import { INFO, OPTION, REPLY, TRANSMISSION_FLAGS } from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";
import { encodeMetaContextRequest } from "./meta_contexts.ts";
import { encodeInfoRequest } from "./option_data.ts";
import { encodeClientFlags, encodeOption } from "./option_frames.ts";
import { ServerNegotiation } from "./server_negotiation.ts";

/** What a server tells of itself and of an export, in the bytes that the document has for it. */

const EXPORT: ExportInfo = {
  sizeBytes: 2 ** 40 + 512,
  flags: 0x0565,
  minimumBlockBytes: 512,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 2 ** 25,
};
const EMPTY = new Uint8Array(0);
const STRUCTURED = encodeOption(OPTION.structuredReply, EMPTY);
const CONTEXT = encodeOption(
  OPTION.setMetaContext,
  encodeMetaContextRequest({ name: "disk", queries: ["base:allocation"] }),
);
const NAMED = encodeOption(OPTION.exportName, utf8("disk"));

/** Of a server that knows every export. */
function saidTo(machine: ServerNegotiation, ...options: Uint8Array[]): Uint8Array {
  for (const option of options) {
    machine.consume(option, 0, option.length);
    if (machine.event?.kind === "find") machine.answerExport(EXPORT);
  }
  return concat(...machine.takeOutput());
}

/** A server whose greeting and answers to these were taken. */
function after(flags: number, ...options: Uint8Array[]): ServerNegotiation {
  const machine = new ServerNegotiation();
  saidTo(machine, encodeClientFlags(flags), ...options);
  return machine;
}

Deno.test("a server's greeting offers FIXED_NEWSTYLE and NO_ZEROES, and nothing else", () => {
  const greeting = saidTo(new ServerNegotiation());
  assert.deepEqual(greeting, concat(utf8("NBDMAGICIHAVEOPT"), Uint8Array.of(0, 3)));
});

Deno.test("EXPORT_NAME's answer is size, flags and 124 zeroes, or none of these", () => {
  for (const [flags, zeroes] of [[3, 0], [2, 0], [1, 124], [0, 124]] as const) {
    const answer = saidTo(after(flags), NAMED);
    assert.equal(answer.length, 10 + zeroes, `client flags ${flags}`);
    assert.equal(viewOf(answer).getBigUint64(0), BigInt(EXPORT.sizeBytes));
    assert.equal(viewOf(answer).getUint16(8), EXPORT.flags);
    assert.ok(answer.subarray(10).every((byte) => byte === 0));
  }
});

Deno.test("EXPORT_NAME goes by what was agreed on before, and tells of DF then", () => {
  for (
    const [agreed, df] of [[[], 0], [[STRUCTURED, CONTEXT], TRANSMISSION_FLAGS.sendDf]] as const
  ) {
    const machine = after(3, ...agreed);
    const answer = saidTo(machine, NAMED);
    assert.equal(viewOf(answer).getUint16(8), EXPORT.flags | df);
    assert.equal(machine.event?.kind, "ready");
    assert.equal(machine.agreed.structuredReplies, df !== 0);
    assert.equal(machine.agreed.allocation, df !== 0);
  }
});

/** INFO replies as [what they are about, payload], in order; ends with ACK. */
function infosOf(said: Uint8Array): [number, Uint8Array][] {
  const infos: [number, Uint8Array][] = [];
  for (let at = 0;;) {
    const head = viewOf(said.subarray(at, at + 20));
    const payload = said.slice(at + 20, at + 20 + head.getUint32(16));
    at += 20 + payload.length;
    if (head.getUint32(12) === REPLY.ack) {
      assert.equal(at, said.length, "nothing comes behind ACK");
      return infos;
    }
    assert.equal(head.getUint32(12), REPLY.info);
    infos.push([viewOf(payload).getUint16(0), payload]);
  }
}

Deno.test("GO tells what INFO has told, and BLOCK_SIZE to whom asks for it alone", () => {
  const ask = (option: number, infos: number[]) =>
    encodeOption(option, encodeInfoRequest({ name: "disk", infos }));
  for (const agreed of [[], [STRUCTURED]]) {
    const machine = after(3, ...agreed);
    // What one has asked for is not what the next one asks for.
    for (const infos of [[INFO.blockSize], [], [77, INFO.export], [INFO.blockSize, INFO.name]]) {
      const told = infosOf(saidTo(machine, ask(OPTION.info, infos)));
      const kinds = infos.includes(INFO.blockSize) ? [INFO.export, INFO.blockSize] : [INFO.export];
      assert.deepEqual(told.map(([kind]) => kind), kinds);
      assert.deepEqual(infosOf(saidTo(after(3, ...agreed), ask(OPTION.go, infos))), told);
    }
    const [about, blocks] = infosOf(saidTo(machine, ask(OPTION.go, [INFO.blockSize])));
    const df = agreed.length > 0 ? TRANSMISSION_FLAGS.sendDf : 0;
    assert.equal(viewOf(about![1]).getBigUint64(2), BigInt(EXPORT.sizeBytes));
    assert.equal(viewOf(about![1]).getUint16(10), EXPORT.flags | df);
    assert.equal(about![1].length, 12);
    const view = viewOf(blocks![1]);
    assert.deepEqual([2, 6, 10].map((at) => view.getUint32(at)), [512, 4096, 2 ** 25]);
    assert.equal(blocks![1].length, 14);
  }
});
