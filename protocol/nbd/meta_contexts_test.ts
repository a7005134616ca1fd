import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../core/bytes.ts";
import { INFO, OPTION, REPLY, REPLY_ERROR, TRANSMISSION_FLAGS } from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";
import {
  decodeMetaContext,
  decodeMetaContextRequest,
  encodeMetaContext,
  encodeMetaContextRequest,
} from "./meta_contexts.ts";
import { decodeInfoReply, encodeInfoRequest } from "./option_data.ts";
import { encodeClientFlags, encodeOption } from "./option_frames.ts";
import { ServerNegotiation } from "./server_negotiation.ts";

const EXPORT: ExportInfo = {
  sizeBytes: 2 ** 30,
  flags: 1,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 2 ** 25,
};
const STRUCTURED = encodeOption(OPTION.structuredReply, new Uint8Array(0));

/** A negotiation with the exports "disk" and "other". */
class Session {
  readonly machine = new ServerNegotiation();

  constructor(...options: Uint8Array[]) {
    this.said(encodeClientFlags(3));
    for (const option of options) this.said(option);
  }

  /** The replies to one option: type and payload. */
  said(option: Uint8Array): { type: number; payload: Uint8Array }[] {
    const { machine } = this;
    machine.consume(option, 0, option.length);
    const event = machine.event;
    if (event?.kind === "find") {
      if (event.name === "disk" || event.name === "other") machine.answerExport(EXPORT);
      else machine.refuse(REPLY_ERROR.unknown, "no such export");
    }
    return machine.takeOutput().filter((frame) => frame.length >= 20).map((frame) => {
      const view = new DataView(frame.buffer);
      return { type: view.getUint32(12), payload: frame.subarray(20) };
    });
  }

  ask(option: number, name: string, ...queries: string[]): (number | string)[] {
    const replies = this.said(encodeOption(option, encodeMetaContextRequest({ name, queries })));
    return replies.map(({ type, payload }) => {
      if (type !== REPLY.metaContext) return type;
      const context = decodeMetaContext(payload);
      assert.equal(typeof context, "object");
      return (context as { name: string }).name;
    });
  }

  list = (name: string, ...queries: string[]) => this.ask(OPTION.listMetaContext, name, ...queries);
  set = (name: string, ...queries: string[]) => this.ask(OPTION.setMetaContext, name, ...queries);

  /** Ends negotiation; whether BLOCK_STATUS may follow. */
  go(name: string): boolean {
    this.said(encodeOption(OPTION.go, encodeInfoRequest({ name, infos: [] })));
    assert.equal(this.machine.event?.kind, "ready");
    return this.machine.agreed.allocation;
  }
}

Deno.test("LIST_META_CONTEXT lists base:allocation for no query, its namespace and itself", () => {
  const session = new Session(STRUCTURED);
  const listed = ["base:allocation", REPLY.ack];
  assert.deepEqual(session.list("disk"), listed);
  assert.deepEqual(session.list("disk", "base:"), listed);
  assert.deepEqual(session.list("disk", "base:allocation", "base:", "qemu:x"), listed);
  for (const query of ["base:other", "qemu:", "x-mine:depth", "base", "", "base:allocation2"]) {
    assert.deepEqual(session.list("disk", query), [REPLY.ack], query);
  }
  assert.deepEqual(session.list("absent"), [REPLY_ERROR.unknown]);
  assert.equal(session.go("disk"), false);
});

Deno.test("SET_META_CONTEXT selects exactly what it names, for the export that GO names", () => {
  const selected = ["base:allocation", REPLY.ack];
  assert.deepEqual(new Session(STRUCTURED).set("disk", "base:allocation"), selected);
  const open = (set: (session: Session) => void, name = "disk") => {
    const session = new Session(STRUCTURED);
    set(session);
    return session.go(name);
  };
  assert.equal(open((session) => session.set("disk", "x-a:b", "base:allocation")), true);
  assert.equal(open((session) => session.set("disk", "base:allocation"), "other"), false);
  assert.equal(open((session) => session.set("disk")), false);
  assert.equal(open((session) => session.set("disk", "base:")), false);
  // The set before is replaced, also by one that fails.
  const replaced = (by: (session: Session) => void) =>
    open((session) => {
      session.set("disk", "base:allocation");
      by(session);
    });
  assert.equal(replaced(() => {}), true);
  assert.equal(replaced((session) => session.list("disk")), true);
  assert.equal(replaced((session) => session.set("disk", "qemu:x")), false);
  assert.equal(replaced((session) => session.set("absent", "base:allocation")), false);
  const broken = encodeOption(OPTION.setMetaContext, new Uint8Array(3));
  assert.equal(replaced((session) => session.said(broken)), false);
  const long = encodeOption(OPTION.setMetaContext, new Uint8Array(20_000));
  assert.equal(replaced((session) => session.said(long)), false);
});

Deno.test("SET_META_CONTEXT names the context once, with one id, however often it is asked for", () => {
  const session = new Session(STRUCTURED);
  const queries = ["base:allocation", "base:allocation"];
  const data = encodeMetaContextRequest({ name: "disk", queries });
  const replies = session.said(encodeOption(OPTION.setMetaContext, data));
  assert.deepEqual(replies.map((reply) => reply.type), [REPLY.metaContext, REPLY.ack]);
});

Deno.test("SET_META_CONTEXT is invalid before structured replies, and negotiation stays in step", () => {
  const session = new Session();
  assert.deepEqual(session.set("disk", "base:allocation"), [REPLY_ERROR.invalid]);
  session.said(STRUCTURED);
  assert.equal(session.go("disk"), false);
});

Deno.test("STRUCTURED_REPLY takes no data, may come twice, and adds DF to what INFO and GO tell", () => {
  const flagsOf = (session: Session) => {
    const data = encodeInfoRequest({ name: "disk", infos: [INFO.export] });
    const [reply] = session.said(encodeOption(OPTION.info, data));
    const info = decodeInfoReply(reply!.payload);
    return typeof info === "object" && info.kind === "export" ? info.flags : -1;
  };
  const session = new Session();
  assert.equal(flagsOf(session), 1);
  const withData = encodeOption(OPTION.structuredReply, new Uint8Array(1));
  assert.deepEqual(session.said(withData).map((reply) => reply.type), [REPLY_ERROR.invalid]);
  assert.equal(flagsOf(session), 1);
  for (let twice = 0; twice < 2; twice++) {
    assert.deepEqual(session.said(STRUCTURED).map((reply) => reply.type), [REPLY.ack]);
  }
  assert.equal(flagsOf(session), 1 | TRANSMISSION_FLAGS.sendDf);
  session.go("disk");
  assert.equal(session.machine.agreed.structuredReplies, true);
});

Deno.test("EXTENDED_HEADERS and PEEK_EXPORT are unsupported, and negotiation stays in step", () => {
  const session = new Session();
  for (const option of [OPTION.extendedHeaders, OPTION.peekExport]) {
    for (const data of [new Uint8Array(0), new Uint8Array(9)]) {
      const replies = session.said(encodeOption(option, data));
      assert.deepEqual(replies.map((reply) => reply.type), [REPLY_ERROR.unsupported]);
    }
  }
  assert.equal(session.go("disk"), false);
});

Deno.test("TLS makes a negotiation forget structured replies and contexts", () => {
  const machine = new ServerNegotiation({ tls: "allow" });
  const say = (bytes: Uint8Array) => machine.consume(bytes, 0, bytes.length);
  const set = encodeMetaContextRequest({ name: "disk", queries: ["base:allocation"] });
  say(concat(encodeClientFlags(3), STRUCTURED, encodeOption(OPTION.setMetaContext, set)));
  machine.answerExport(EXPORT);
  say(encodeOption(OPTION.startTls, new Uint8Array(0)));
  machine.secured();
  say(encodeOption(OPTION.go, encodeInfoRequest({ name: "disk", infos: [] })));
  machine.answerExport(EXPORT);
  assert.equal(machine.agreed.structuredReplies, false);
  assert.equal(machine.agreed.allocation, false);
});

Deno.test("decodeMetaContextRequest() refuses every length that does not fit, and bad names", () => {
  const queries = ["base:allocation", "x-a:b"];
  const right = encodeMetaContextRequest({ name: "disk", queries });
  assert.deepEqual(decodeMetaContextRequest(right), { name: "disk", queries });
  for (let length = 0; length < right.length; length++) {
    assert.equal(typeof decodeMetaContextRequest(right.subarray(0, length)), "string");
  }
  assert.match(
    String(decodeMetaContextRequest(concat(right, new Uint8Array(1)))),
    /1 bytes follow/,
  );
  for (const name of ["a\0b", "x".repeat(4097)]) {
    assert.equal(
      typeof decodeMetaContextRequest(encodeMetaContextRequest({ name, queries })),
      "string",
    );
    const asQuery = encodeMetaContextRequest({ name: "disk", queries: [name] });
    assert.equal(typeof decodeMetaContextRequest(asQuery), "string");
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
    assert.notEqual(decodeMetaContextRequest(bytes), undefined);
  }));
});

Deno.test("decodeMetaContext() reads what was written and refuses what is short", () => {
  const context = { id: 0xfffffffe, name: "base:allocation" };
  assert.deepEqual(decodeMetaContext(encodeMetaContext(context)), context);
  assert.equal(typeof decodeMetaContext(utf8("abc")), "string");
});
