import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../core/bytes.ts";
import { NBD_OPTIONS_MAX } from "../core/limits.ts";
import { INFO, OPTION, OPTION_MAGIC, REPLY, REPLY_ERROR } from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";
import { encodeInfoRequest } from "./option_data.ts";
import { encodeClientFlags, encodeOption } from "./option_frames.ts";
import { ServerNegotiation } from "./server_negotiation.ts";

const INFO_OF_EXPORT: ExportInfo = {
  sizeBytes: 2 ** 40,
  flags: 0x16d,
  minimumBlockBytes: 1,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 2 ** 25,
};
const FLAGS = encodeClientFlags(3);

interface Outcome {
  /** Everything the server said after its greeting. */
  readonly said: Uint8Array;
  readonly events: string[];
  /** Bytes not taken when it ended or ran out. */
  readonly rest: number;
}

/** Runs a whole exchange; exports are "" and "disk", private options answer their own data. */
function run(input: Uint8Array, cuts: readonly number[] = []): Outcome {
  const machine = new ServerNegotiation();
  const events: string[] = [];
  const edges = [...cuts.map((cut) => cut % (input.length + 1)), input.length].sort((a, b) =>
    a - b
  );
  let at = 0;
  for (const edge of edges) {
    for (;;) {
      const before = at;
      at = machine.consume(input, at, edge);
      const ended = answer(machine, events);
      if (ended || (at === before && machine.event === null)) break;
    }
  }
  return { said: concat(...machine.takeOutput()).slice(18), events, rest: input.length - at };
}

/** Answers what the machine asks; true when it has ended. */
function answer(machine: ServerNegotiation, events: string[]): boolean {
  const event = machine.event;
  if (event === null) return false;
  if (events.at(-1) === `end ${event.kind}`) return true;
  switch (event.kind) {
    case "find":
      events.push(`${event.purpose} ${event.name}`);
      if (event.name === "" || event.name === "disk") machine.answerExport(INFO_OF_EXPORT);
      else machine.refuse(REPLY_ERROR.unknown, "no such export");
      return false;
    case "list":
      events.push("list");
      machine.answerList(["", "disk"]);
      return false;
    case "private":
      events.push(`private ${event.option}`);
      machine.answerPrivate(event.payload);
      return false;
    default:
      events.push(`end ${event.kind}`);
      return true;
  }
}

/** Types of the replies in what a server said. */
function repliesOf(said: Uint8Array): { option: number; type: number; payload: Uint8Array }[] {
  const replies = [];
  const view = new DataView(said.buffer, said.byteOffset, said.length);
  let at = 0;
  while (at < said.length) {
    const length = view.getUint32(at + 16);
    const payload = said.subarray(at + 20, at + 20 + length);
    replies.push({ option: view.getUint32(at + 8), type: view.getUint32(at + 12), payload });
    at += 20 + length;
  }
  return replies;
}

const typesOf = (outcome: Outcome) => repliesOf(outcome.said).map((reply) => reply.type);
const go = (name: string, infos: number[] = []) =>
  encodeOption(OPTION.go, encodeInfoRequest({ name, infos }));
const raw = (option: number, ...data: number[]) => encodeOption(option, new Uint8Array(data));

/** An option's header that claims `length` bytes. */
function claim(option: number, length: number): Uint8Array {
  const header = encodeOption(option, new Uint8Array(0));
  new DataView(header.buffer).setUint32(12, length);
  return header;
}

const LIVELY = concat(
  FLAGS,
  raw(OPTION.list),
  raw(99, 1, 2, 3),
  raw(OPTION.list, 1),
  raw(0x64560002, 7, 8, 9),
  encodeOption(OPTION.info, encodeInfoRequest({ name: "disk", infos: [INFO.blockSize, 77] })),
  go("absent"),
  raw(OPTION.go, 0, 0, 0, 9, 0, 0),
  go("disk", [INFO.blockSize]),
  utf8("requests"),
);

Deno.test("ServerNegotiation greets, haggles in step and ends with GO", () => {
  const outcome = run(LIVELY);
  assert.deepEqual(outcome.events, [
    "list",
    "private 1683357698",
    "info disk",
    "go absent",
    "go disk",
    "end ready",
  ]);
  assert.deepEqual(typesOf(outcome), [
    ...[REPLY.server, REPLY.server, REPLY.ack],
    ...[REPLY_ERROR.unsupported, REPLY_ERROR.invalid],
    ...[0x64560002, REPLY.ack],
    ...[REPLY.info, REPLY.info, REPLY.ack],
    ...[REPLY_ERROR.unknown, REPLY_ERROR.invalid],
    ...[REPLY.info, REPLY.info, REPLY.ack],
  ]);
  assert.equal(outcome.rest, "requests".length);
});

Deno.test("ServerNegotiation gives the same for any division of its input", () => {
  const whole = run(LIVELY);
  fc.assert(fc.property(fc.array(fc.nat(LIVELY.length), { maxLength: 40 }), (cuts) => {
    assert.deepEqual(run(LIVELY, cuts), whole);
  }));
  assert.deepEqual(run(LIVELY, [...LIVELY.keys()]), whole);
});

Deno.test("ServerNegotiation waits, whatever byte its input ends at", () => {
  const whole = run(LIVELY);
  for (let end = 0; end < LIVELY.length - "requests".length; end++) {
    const outcome = run(LIVELY.subarray(0, end));
    assert.equal(outcome.events.some((event) => event.startsWith("end")), false, `at ${end}`);
    assert.deepEqual(outcome.said, whole.said.subarray(0, outcome.said.length));
  }
});

Deno.test("ServerNegotiation never throws for random bytes, also behind a valid start", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, greeted) => {
    const outcome = run(greeted ? concat(FLAGS, bytes) : bytes);
    assert.equal(outcome.events.filter((event) => event.startsWith("end")).length <= 1, true);
  }));
});

Deno.test("ServerNegotiation never throws for options of random data", () => {
  const option = fc.record({
    option: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constant(0x64560001)),
    data: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(fc.property(fc.array(option, { maxLength: 12 }), (options) => {
    const input = concat(FLAGS, ...options.map((o) => encodeOption(o.option, o.data)));
    const { said, events } = run(input);
    if (events.at(-1) === "end ready") return;
    // Each option got its final reply, unless an EXPORT_NAME or ABORT ended it.
    const finals = repliesOf(said).filter((reply) =>
      reply.type === REPLY.ack || reply.type >= 0x80000000
    );
    const ended = options.findIndex((o) => o.option === 1 || o.option === 2);
    const expected = ended < 0 ? options.length : ended + (options[ended]!.option === 2 ? 1 : 0);
    assert.equal(finals.length, expected);
  }));
});

Deno.test("ServerNegotiation drops clients with unknown flags", () => {
  for (const flags of [4, 0x80000000, 0xffffffff]) {
    assert.deepEqual(run(encodeClientFlags(flags)).events, ["end dropped"]);
  }
});

Deno.test("ServerNegotiation pads EXPORT_NAME's answer unless NO_ZEROES was agreed", () => {
  const name = encodeOption(OPTION.exportName, utf8("disk"));
  assert.equal(run(concat(encodeClientFlags(3), name)).said.length, 10);
  const padded = run(concat(encodeClientFlags(1), name)).said;
  assert.equal(padded.length, 134);
  assert.equal(padded.subarray(10).every((byte) => byte === 0), true);
});

Deno.test("ServerNegotiation can refuse EXPORT_NAME by closing only", () => {
  for (const data of [utf8("absent"), new Uint8Array([0]), new Uint8Array([0xff])]) {
    const outcome = run(concat(FLAGS, encodeOption(OPTION.exportName, data)));
    assert.equal(outcome.events.at(-1), "end dropped");
    assert.equal(outcome.said.length, 0);
  }
  const long = encodeOption(OPTION.exportName, new Uint8Array(4097).fill(0x61));
  assert.deepEqual(run(concat(FLAGS, long)).events, ["end dropped"]);
});

Deno.test("ServerNegotiation acknowledges ABORT whatever it carries", () => {
  for (
    const abort of [raw(OPTION.abort), raw(OPTION.abort, 1, 2), claim(OPTION.abort, 2 ** 32 - 1)]
  ) {
    const outcome = run(concat(FLAGS, abort));
    assert.deepEqual(outcome.events, ["end aborted"]);
    assert.deepEqual(typesOf(outcome), [REPLY.ack]);
  }
});

Deno.test("ServerNegotiation drains an option of any claimed length without keeping it", () => {
  for (const option of [OPTION.list, OPTION.info, OPTION.go, OPTION.startTls, 0x64560001, 0xffff]) {
    const outcome = run(concat(FLAGS, claim(option, 2 ** 32 - 1), new Uint8Array(100_000)));
    assert.deepEqual(outcome.events, []);
    assert.equal(outcome.said.length, 0);
  }
  const drained = run(concat(FLAGS, claim(OPTION.go, 70_000), new Uint8Array(70_000), go("disk")));
  assert.equal(typesOf(drained)[0], REPLY_ERROR.tooBig);
  assert.equal(drained.events.at(-1), "end ready");
});

Deno.test("ServerNegotiation serves 2,000 options in a row, and has a limit", () => {
  const many = (count: number) => new Array<Uint8Array>(count).fill(raw(77, 1, 2));
  const outcome = run(concat(FLAGS, ...many(2000), go("disk")));
  assert.equal(outcome.events.at(-1), "end ready");
  assert.equal(repliesOf(outcome.said).length, 2002);
  const tooMany = run(concat(FLAGS, ...many(NBD_OPTIONS_MAX + 1)));
  assert.deepEqual(tooMany.events, ["end dropped"]);
});

Deno.test("ServerNegotiation checks names in GO: length, NUL, UTF-8, byte order mark", () => {
  const named = (name: Uint8Array) => {
    const data = concat(new Uint8Array(4), name, new Uint8Array(2));
    new DataView(data.buffer).setUint32(0, name.length);
    return run(concat(FLAGS, encodeOption(OPTION.go, data)));
  };
  assert.deepEqual(named(new Uint8Array(0)).events, ["go ", "end ready"]);
  assert.deepEqual(typesOf(named(new Uint8Array(4096).fill(0x61))), [REPLY_ERROR.unknown]);
  for (
    const name of [
      new Uint8Array(4097).fill(0x61),
      new Uint8Array([0x61, 0]),
      new Uint8Array([0xc3]),
      new Uint8Array([0xef, 0xbb, 0xbf]),
      new Uint8Array([0xed, 0xa0, 0x80]),
    ]
  ) {
    assert.deepEqual(typesOf(named(name)), [REPLY_ERROR.invalid]);
    assert.deepEqual(named(name).events, []);
  }
});

Deno.test("ServerNegotiation refuses short and trailing bytes in INFO and GO, and stays in step", () => {
  const right = encodeInfoRequest({ name: "disk", infos: [3] });
  for (let length = 0; length < right.length + 4; length++) {
    if (length === right.length) continue;
    const data = new Uint8Array(length);
    data.set(right.subarray(0, length));
    for (const option of [OPTION.info, OPTION.go]) {
      const outcome = run(concat(FLAGS, encodeOption(option, data), go("disk")));
      assert.deepEqual(typesOf(outcome), [REPLY_ERROR.invalid, REPLY.info, REPLY.ack]);
    }
  }
});

Deno.test("ServerNegotiation cuts error texts between characters at 4,096 bytes, and has no NUL in them", () => {
  const machine = new ServerNegotiation();
  const input = concat(FLAGS, go("absent"));
  machine.consume(input, 0, input.length);
  // Of three bytes each, as is what stands for the NUL: 4,096 is within one of them.
  machine.refuse(REPLY_ERROR.unknown, "\0" + "€".repeat(2000));
  const [reply] = repliesOf(concat(...machine.takeOutput()).slice(18));
  const text = new TextDecoder("utf-8", { fatal: true }).decode(reply!.payload);
  assert.equal(text, "\ufffd" + "€".repeat(1364));
});

Deno.test("ServerNegotiation drops a stream that is out of step", () => {
  const broken = raw(OPTION.list);
  broken[0] = OPTION_MAGIC[0] & 0xff;
  assert.deepEqual(run(concat(FLAGS, broken)).events, ["end dropped"]);
});
