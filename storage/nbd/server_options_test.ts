import assert from "node:assert/strict";
import { testOn } from "../../test/needs.ts";
import { concat, utf8, viewOf } from "../../protocol/core/bytes.ts";
import { NBD_STRING_BYTES_MAX } from "../../protocol/core/limits.ts";
import { CHUNK_MAGIC, COMMAND, OPTION, REPLY, REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { encodeMetaContextRequest } from "../../protocol/nbd/meta_contexts.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import {
  goOption,
  IO_KINDS,
  type RawClient,
  reply,
  request,
  TestServer,
  until,
} from "./server_testing.ts";

/** Options with bytes missing, bytes too many and names that are none, against every Io. */

const FLAGS = encodeClientFlags(3);
const EMPTY = new Uint8Array(0);
const GO = encodeInfoRequest({ name: "disk", infos: [0, 3] });
const CONTEXTS = encodeMetaContextRequest({ name: "disk", queries: ["base:allocation", "x:y"] });

/** What each option carries when all is well. */
const DATA: Readonly<Record<string, readonly [option: number, data: Uint8Array]>> = {
  LIST: [OPTION.list, EMPTY],
  STARTTLS: [OPTION.startTls, EMPTY],
  STRUCTURED_REPLY: [OPTION.structuredReply, EMPTY],
  INFO: [OPTION.info, GO],
  GO: [OPTION.go, GO],
  LIST_META_CONTEXT: [OPTION.listMetaContext, CONTEXTS],
  SET_META_CONTEXT: [OPTION.setMetaContext, CONTEXTS],
};

interface OptionReply {
  readonly option: number;
  readonly type: number;
  readonly payload: Uint8Array;
}

function hearReply(client: RawClient): OptionReply {
  const head = viewOf(client.hear(20));
  const payload = client.hear(head.getUint32(16));
  return { option: head.getUint32(8), type: head.getUint32(12), payload };
}

/** In step: an option is answered as it should be. */
function expectInStep(client: RawClient): void {
  client.say(encodeOption(OPTION.list, EMPTY));
  assert.deepEqual([hearReply(client).type, hearReply(client).type], [REPLY.server, REPLY.ack]);
}

for (const kind of IO_KINDS) {
  const test = testOn(kind);
  test(`NbdServer refuses short and trailing bytes in every option, in step (${kind})`, () => {
    const on = new TestServer({ kind });
    const { client } = on.connect();
    client.say(FLAGS, encodeOption(OPTION.structuredReply, EMPTY));
    client.hear(18 + 20);
    for (const [name, [option, data]] of Object.entries(DATA)) {
      const short = Array.from({ length: data.length }, (_, count) => data.subarray(0, count));
      const long = [1, 2, 4, 8, 100].map((count) => concat(data, new Uint8Array(count)));
      const wrong = [...short, ...long];
      client.say(...wrong.map((bytes) => encodeOption(option, bytes)));
      for (const { length } of wrong) {
        const heard = hearReply(client);
        assert.equal(heard.option, option);
        assert.equal(heard.type, REPLY_ERROR.invalid, `${name} with ${length} bytes`);
      }
      expectInStep(client);
    }
    client.say(goOption("disk"), request({ command: COMMAND.flush, cookie: 8 }));
    client.hear(32 + 20);
    assert.deepEqual(reply(client.hear(16)), [0, 8]);
    on.close();
  });

  test(`NbdServer refuses what is no name with GO, and closes with EXPORT_NAME (${kind})`, () => {
    const on = new TestServer({ kind });
    const names: readonly (readonly [name: Uint8Array, type: number])[] = [
      [utf8("x".repeat(NBD_STRING_BYTES_MAX)), REPLY_ERROR.unknown],
      [utf8("x".repeat(NBD_STRING_BYTES_MAX + 1)), REPLY_ERROR.invalid],
      [utf8("a\0b"), REPLY_ERROR.invalid],
      [Uint8Array.of(0xc3, 0x28), REPLY_ERROR.invalid],
      [Uint8Array.of(0xed, 0xa0, 0x80), REPLY_ERROR.invalid],
      [Uint8Array.of(0xf5, 0x80, 0x80, 0x80), REPLY_ERROR.invalid],
    ];
    const { client } = on.connect();
    client.say(FLAGS);
    client.hear(18);
    for (const [name, type] of names) {
      const data = concat(new Uint8Array(4), name, new Uint8Array(2));
      viewOf(data).setUint32(0, name.length);
      client.say(encodeOption(OPTION.go, data));
      const heard = hearReply(client);
      assert.equal(heard.type, type);
      // Error texts quote names, and are strings like all others.
      assert.ok(heard.payload.length <= NBD_STRING_BYTES_MAX, `${heard.payload.length} bytes`);
      new TextDecoder("utf-8", { fatal: true }).decode(heard.payload);
      expectInStep(client);
      const { client: old } = on.connect();
      old.say(FLAGS, encodeOption(OPTION.exportName, name));
      until(on.io, () => old.ended, "the close");
      assert.equal(old.heard.length, 18, "its only error is the close");
    }
    // No name at all is the default export's.
    client.say(goOption(""), request({ command: COMMAND.flush, cookie: 8 }));
    client.hear(32 + 20);
    assert.deepEqual(reply(client.hear(16)), [0, 8]);
    on.close();
  });

  test(`NbdServer serves whom comes in by EXPORT_NAME, with and without zeroes (${kind})`, () => {
    const on = new TestServer({ kind });
    on.memory.bytes.fill(9, 512, 1024);
    const named = encodeOption(OPTION.exportName, utf8("disk"));
    const read = request({ command: COMMAND.read, position: 512, length: 512, cookie: 5 });
    for (const flags of [1, 3]) {
      for (const agreed of [EMPTY, encodeOption(OPTION.structuredReply, EMPTY)]) {
        const { client } = on.connect();
        client.say(encodeClientFlags(flags), concat(agreed, named, read));
        client.hear(18 + (agreed.length > 0 ? 20 : 0));
        const answer = client.hear(flags === 3 ? 10 : 134);
        assert.equal(viewOf(answer).getBigUint64(0), BigInt(on.memory.bytes.length));
        assert.ok(answer.subarray(10).every((byte) => byte === 0));
        if (agreed.length === 0) assert.deepEqual(reply(client.hear(16)), [0, 5]);
        else assert.equal(viewOf(client.hear(28)).getUint32(0), CHUNK_MAGIC);
        assert.ok(client.hear(512).every((byte) => byte === 9));
        client.close();
      }
    }
    on.close();
  });
}
