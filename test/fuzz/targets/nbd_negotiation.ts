import assert from "node:assert/strict";
import { concat, utf8 } from "../../../protocol/core/bytes.ts";
import { ClientNegotiation } from "../../../protocol/nbd/client_negotiation.ts";
import { INFO, OPTION, REPLY, REPLY_ERROR } from "../../../protocol/nbd/constants.ts";
import type { ExportInfo } from "../../../protocol/nbd/export_info.ts";
import { encodeBlockSizeInfo, encodeExportInfo } from "../../../protocol/nbd/export_info.ts";
import { encodeMetaContextRequest } from "../../../protocol/nbd/meta_contexts.ts";
import { encodeInfoRequest } from "../../../protocol/nbd/option_data.ts";
import {
  encodeClientFlags,
  encodeGreeting,
  encodeOption,
  encodeOptionReply,
} from "../../../protocol/nbd/option_frames.ts";
import type { TlsPolicy } from "../../../protocol/nbd/server_options.ts";
import { ServerNegotiation } from "../../../protocol/nbd/server_negotiation.ts";
import type { Chance } from "../chance.ts";
import type { FuzzTarget } from "../target.ts";

const INFO_ABOUT: ExportInfo = {
  sizeBytes: 1 << 20,
  flags: 0x6d,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 32 << 20,
};
const NAMES = ["", "disk", "other", "x".repeat(4096), "x".repeat(4097), "\ufeffdisk", "a\0b"];
const QUERIES = ["base:allocation", "base:", "base:x", "qemu:dirty", "", "x".repeat(4097)];
/** More rounds than that mean that nothing is consumed. */
const ROUNDS_MAX = 10_000;

/** What the server makes of any bytes does not depend on how they were cut, and never throws. */
export const SERVER_NEGOTIATION: FuzzTarget = {
  name: "server-negotiation",
  cases: 400,
  run(chance) {
    const stream = optionsOf(chance);
    const tls = chance.pick(["off", "allow", "require"] as const);
    const whole = serve(stream, { ends: [stream.length], tls });
    const cut = serve(stream, { ends: chance.cuts(stream.length), tls });
    assert.deepEqual(cut, whole);
  },
};

/** The same of the client's side, for any bytes of a server. */
export const CLIENT_NEGOTIATION: FuzzTarget = {
  name: "client-negotiation",
  cases: 400,
  run(chance) {
    const stream = repliesOf(chance);
    const options = Array.from({ length: 20 }, () => chance.pick([0, 1, 2, 3, 4, 5]));
    const whole = ask(stream, { ends: [stream.length], options });
    const cut = ask(stream, { ends: chance.cuts(stream.length), options });
    assert.deepEqual(cut, whole);
  },
};

function optionsOf(chance: Chance): Uint8Array {
  const parts = [encodeClientFlags(chance.oneIn(8) ? chance.below(16) : chance.pick([1, 3]))];
  for (let count = chance.below(12); count > 0; count--) {
    const option = chance.oneIn(6) ? chance.number(20) : chance.pick(Object.values(OPTION));
    const plain = encodeOption(option, dataOf(chance));
    parts.push(chance.oneIn(5) ? chance.bend(plain) : plain);
  }
  return concat(...parts);
}

function dataOf(chance: Chance): Uint8Array {
  const name = chance.pick(NAMES);
  switch (chance.below(7)) {
    case 0:
    case 5:
      return new Uint8Array(0);
    case 6: {
      const queries = [chance.pick(QUERIES), chance.pick(QUERIES)].slice(chance.below(3));
      const plain = encodeMetaContextRequest({ name, queries });
      return chance.oneIn(3) ? chance.bend(plain) : plain;
    }
    case 1:
      return utf8(name);
    case 2:
      return chance.bytes(chance.pick([1, 6, 40, 17_000]));
    case 3:
      return chance.bend(encodeInfoRequest({ name, infos: [INFO.blockSize] }));
    default:
      return encodeInfoRequest({ name, infos: [chance.below(5), chance.below(5)] });
  }
}

/** All that a server says and is asked, in order; its owner's answers follow from the questions. */
function serve(
  stream: Uint8Array,
  { ends, tls }: { ends: readonly number[]; tls: TlsPolicy },
): unknown[] {
  const server = new ServerNegotiation({ tls });
  const seen: unknown[] = [];
  let at = 0;
  for (const end of ends) {
    for (let rounds = 0;; rounds++) {
      assert.ok(rounds < ROUNDS_MAX, "negotiation goes on");
      at = server.consume(stream, at, end);
      assert.ok(at <= end);
      const event = server.event;
      if (event === null) {
        assert.equal(at, end, "everything is taken while nothing is asked");
        break;
      }
      // Whether its owner sees what comes behind STARTTLS or the machine does: it is dropped.
      if (isPlaintext(event, at < stream.length)) return [...seen, "plaintext", at];
      seen.push(event);
      if (!answer(server)) return [...seen, at, Array.from(concat(...server.takeOutput()))];
    }
  }
  return [...seen, at, Array.from(concat(...server.takeOutput()))];
}

/** Something came in the clear where only TLS may come. */
function isPlaintext(event: { kind: string; reason?: string }, isMore: boolean): boolean {
  return event.kind === "upgrade" ? isMore : event.reason?.startsWith("plaintext") ?? false;
}

/** False when negotiation is over. */
function answer(server: ServerNegotiation): boolean {
  const { event } = server;
  switch (event?.kind) {
    case "find":
      if (event.name === "disk" || event.name === "") server.answerExport(INFO_ABOUT);
      else server.refuse(REPLY_ERROR.unknown, `no "${event.name}"`);
      return true;
    case "list":
      server.answerList(["disk", "other"]);
      return true;
    case "private":
      server.answerPrivate(event.payload);
      return true;
    case "upgrade":
      server.secured();
      return true;
    default:
      return false;
  }
}

function repliesOf(chance: Chance): Uint8Array {
  const greeting = encodeGreeting();
  const parts = [chance.oneIn(10) ? chance.bend(greeting) : greeting];
  for (let count = chance.below(12); count > 0; count--) {
    const types = [...Object.values(REPLY), ...Object.values(REPLY_ERROR), chance.number(9)];
    const option = chance.pick(ASKED);
    const plain = encodeOptionReply({ option, type: chance.pick(types), payload: payload(chance) });
    parts.push(chance.oneIn(5) ? chance.bend(plain) : plain);
  }
  return concat(...parts);
}

const ASKED = [
  ...[OPTION.go, OPTION.list, OPTION.info, 0x64560001],
  ...[OPTION.startTls, OPTION.setMetaContext],
];

function payload(chance: Chance): Uint8Array {
  const info = { ...INFO_ABOUT, sizeBytes: chance.number(2 ** 40) };
  const choices = [
    new Uint8Array(0),
    encodeExportInfo(info),
    encodeBlockSizeInfo({ ...info, minimumBlockBytes: chance.number(2 ** 31) }),
    chance.bytes(chance.below(300)),
  ];
  const chosen = chance.pick(choices);
  return chance.oneIn(4) ? chance.bend(chosen) : chosen;
}

function ask(
  stream: Uint8Array,
  { ends, options }: { ends: readonly number[]; options: readonly number[] },
): unknown[] {
  const client = new ClientNegotiation();
  const seen: unknown[] = [];
  let asked = 0;
  let at = 0;
  for (const end of ends) {
    for (;;) {
      at = client.consume(stream, at, end);
      const event = client.event;
      if (event === null) break;
      if (isPlaintext(event, at < stream.length)) return [...seen, "plaintext", at];
      seen.push(event);
      if (event.kind === "ready" || event.kind === "dropped" || asked === options.length) {
        return [...seen, at, Array.from(concat(...client.takeOutput()))];
      }
      askFor(client, options[asked++]!);
    }
  }
  return [...seen, at, Array.from(concat(...client.takeOutput()))];
}

function askFor(client: ClientNegotiation, choice: number): void {
  if (choice === 0) client.go("disk");
  else if (choice === 1) client.exportName("disk");
  else if (choice === 4) client.startTls();
  else client.option([OPTION.list, 0x64560001, 0, OPTION.setMetaContext][choice - 2]!);
}
