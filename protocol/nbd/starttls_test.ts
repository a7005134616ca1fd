import assert from "node:assert/strict";
import { concat, utf8 } from "../core/bytes.ts";
import { ClientNegotiation } from "./client_negotiation.ts";
import { OPTION, REPLY, REPLY_ERROR } from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";
import { encodeInfoRequest } from "./option_data.ts";
import {
  encodeClientFlags,
  encodeGreeting,
  encodeOption,
  encodeOptionReply,
} from "./option_frames.ts";
import { ServerNegotiation } from "./server_negotiation.ts";
import type { TlsPolicy } from "./server_options.ts";

const EXPORT: ExportInfo = {
  sizeBytes: 2 ** 30,
  flags: 0x6d,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 2 ** 25,
};
const FLAGS = encodeClientFlags(3);
const GO = encodeOption(OPTION.go, encodeInfoRequest({ name: "disk", infos: [] }));
const STARTTLS = encodeOption(OPTION.startTls, new Uint8Array(0));
const STARTTLS_WITH_DATA = encodeOption(OPTION.startTls, new Uint8Array(3));

function serverAfter(tls: TlsPolicy, ...options: Uint8Array[]): ServerNegotiation {
  const machine = new ServerNegotiation({ tls });
  feed(machine, FLAGS);
  machine.takeOutput();
  for (const option of options) feed(machine, option);
  return machine;
}

function feed(machine: ServerNegotiation, bytes: Uint8Array): void {
  machine.consume(bytes, 0, bytes.length);
}

const kindOf = (machine: ServerNegotiation): string | undefined => machine.event?.kind;

/** Types of the replies that wait in the output. */
function typesOf(machine: ServerNegotiation): number[] {
  return machine.takeOutput().map((reply) => new DataView(reply.buffer).getUint32(12));
}

Deno.test("STARTTLS is acknowledged where TLS is allowed or required, and negotiation starts anew", () => {
  for (const tls of ["allow", "require"] as const) {
    const machine = serverAfter(tls, STARTTLS);
    assert.equal(kindOf(machine), "upgrade");
    assert.deepEqual(typesOf(machine), [REPLY.ack]);
    machine.secured();
    feed(machine, GO);
    assert.equal(kindOf(machine), "find");
    machine.answerExport(EXPORT);
    assert.equal(kindOf(machine), "ready");
  }
});

Deno.test("STARTTLS is a matter of policy where TLS is off, which is never said to be required", () => {
  const machine = serverAfter("off", STARTTLS, STARTTLS_WITH_DATA);
  assert.deepEqual(typesOf(machine), [REPLY_ERROR.policy, REPLY_ERROR.invalid]);
  feed(machine, GO);
  assert.equal(kindOf(machine), "find");
});

Deno.test("STARTTLS with data is invalid, and so is a second one", () => {
  for (const tls of ["allow", "require"] as const) {
    const machine = serverAfter(tls, STARTTLS_WITH_DATA, STARTTLS);
    assert.deepEqual(typesOf(machine), [REPLY_ERROR.invalid, REPLY.ack]);
    machine.secured();
    feed(machine, STARTTLS);
    assert.deepEqual(typesOf(machine), [REPLY_ERROR.invalid]);
    assert.equal(kindOf(machine), undefined);
  }
});

Deno.test("a server that requires TLS answers nothing but STARTTLS and ABORT before it", () => {
  const others = [3, 4, 6, 7, 8, 9, 10, 11, 99, 0x64560001, 0x64560002];
  const machine = serverAfter(
    "require",
    ...others.flatMap((option) => [
      encodeOption(option, new Uint8Array(0)),
      encodeOption(option, new Uint8Array(50)),
    ]),
  );
  assert.deepEqual(typesOf(machine), new Array(2 * others.length).fill(REPLY_ERROR.tlsRequired));
  assert.equal(kindOf(machine), undefined);
  feed(machine, encodeOption(OPTION.abort, new Uint8Array(0)));
  assert.deepEqual(typesOf(machine), [REPLY.ack]);
  assert.equal(kindOf(machine), "aborted");
});

Deno.test("a server that requires TLS closes at EXPORT_NAME before it", () => {
  const machine = serverAfter("require", encodeOption(OPTION.exportName, utf8("disk")));
  assert.equal(machine.event?.kind, "dropped");
  assert.deepEqual(typesOf(machine), []);
});

Deno.test("a server drops what comes behind STARTTLS in the clear, without an answer", () => {
  for (const behind of [GO, new Uint8Array(1), STARTTLS]) {
    const machine = serverAfter("allow");
    const input = concat(STARTTLS, behind);
    const at = machine.consume(input, 0, input.length);
    assert.equal(machine.event?.kind, "dropped");
    assert.equal(at, STARTTLS.length);
    assert.deepEqual(typesOf(machine), []);
  }
});

Deno.test("a client asks for TLS first, and drops what comes behind the answer in the clear", () => {
  const ack = encodeOptionReply({
    option: OPTION.startTls,
    type: REPLY.ack,
    payload: new Uint8Array(0),
  });
  const begun = () => {
    const machine = new ClientNegotiation();
    machine.consume(encodeGreeting(), 0, 18);
    machine.startTls();
    return machine;
  };
  const machine = begun();
  machine.consume(ack, 0, ack.length);
  assert.equal(machine.event?.kind, "upgrade");
  machine.takeOutput();
  machine.go("disk");
  assert.equal(machine.takeOutput().length, 1);
  const attacked = begun();
  attacked.consume(concat(ack, new Uint8Array(1)), 0, ack.length + 1);
  assert.equal(attacked.event?.kind, "dropped");
});

Deno.test("a client hears why a server does not speak TLS", () => {
  const machine = new ClientNegotiation();
  machine.consume(encodeGreeting(), 0, 18);
  machine.startTls();
  const refusal = encodeOptionReply({
    option: OPTION.startTls,
    type: REPLY_ERROR.policy,
    payload: utf8("switched off"),
  });
  machine.consume(refusal, 0, refusal.length);
  assert.deepEqual(machine.event, {
    kind: "answered",
    option: OPTION.startTls,
    replies: [],
    error: { type: REPLY_ERROR.policy, text: "switched off" },
  });
});
