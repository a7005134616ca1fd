import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../core/bytes.ts";
import { ClientNegotiation } from "./client_negotiation.ts";
import { OPTION, REPLY, REPLY_ERROR } from "./constants.ts";
import { encodeBlockSizeInfo, encodeExportInfo, type ExportInfo } from "./export_info.ts";
import { encodeListed } from "./option_data.ts";
import { encodeExportNameAnswer, encodeGreeting, encodeOptionReply } from "./option_frames.ts";
import { ServerNegotiation } from "./server_negotiation.ts";

const EXPORT: ExportInfo = {
  sizeBytes: 2 ** 40 + 512,
  flags: 0x16d,
  minimumBlockBytes: 512,
  preferredBlockBytes: 4096,
  maximumPayloadBytes: 2 ** 25,
};
const EMPTY: Uint8Array = new Uint8Array(0);

const reply = (option: number, type: number, payload = EMPTY) =>
  encodeOptionReply({ option, type, payload });

const SESSION = concat(
  encodeGreeting(),
  reply(OPTION.list, REPLY.server, encodeListed("disk")),
  reply(OPTION.list, REPLY.ack),
  reply(0x64560001, 0x64560001, new Uint8Array(32)),
  reply(0x64560001, REPLY.ack),
  reply(OPTION.go, REPLY_ERROR.unknown, new Uint8Array([0x6e, 0x6f])),
  reply(OPTION.go, REPLY.info, encodeExportInfo(EXPORT)),
  reply(OPTION.go, REPLY.info, encodeBlockSizeInfo(EXPORT)),
  reply(OPTION.go, REPLY.ack),
);

/** What a client hears of `input` when it asks for LIST, a private option, GO and GO. */
function run(input: Uint8Array, cuts: readonly number[] = []): unknown[] {
  const machine = new ClientNegotiation();
  const asks = [
    () => machine.option(OPTION.list),
    () => machine.option(0x64560001),
    () => machine.go("absent"),
    () => machine.go("disk"),
  ];
  const heard: unknown[] = [];
  const edges = [...cuts.map((cut) => cut % (input.length + 1)), input.length].sort((a, b) =>
    a - b
  );
  let at = 0;
  for (const edge of edges) {
    while (at < edge) {
      at = machine.consume(input, at, edge);
      const { event } = machine;
      if (event === null) break;
      heard.push(event);
      const ask = event.kind === "ready" || event.kind === "dropped" ? undefined : asks.shift();
      if (ask === undefined) return heard;
      ask();
    }
  }
  return heard;
}

Deno.test("ClientNegotiation hears what a server answers, for any division of the input", () => {
  const whole = run(SESSION);
  assert.deepEqual(whole.at(-1), { kind: "ready", info: EXPORT });
  assert.equal(whole.length, 5);
  fc.assert(fc.property(fc.array(fc.nat(SESSION.length), { maxLength: 30 }), (cuts) => {
    assert.deepEqual(run(SESSION, cuts), whole);
  }));
});

Deno.test("ClientNegotiation never throws for changed or random bytes", () => {
  fc.assert(fc.property(fc.nat(SESSION.length - 1), fc.nat(255), (at, value) => {
    const changed = SESSION.slice();
    changed[at] = value;
    assert.equal(run(changed).length <= 5, true);
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    assert.equal(run(concat(encodeGreeting(), bytes)).length >= 1, true);
  }));
});

Deno.test("ClientNegotiation refuses sizes, blocks and payloads that cannot be", () => {
  const dropped = (...payloads: Uint8Array[]) => {
    const machine = new ClientNegotiation();
    const greeting = encodeGreeting();
    machine.consume(greeting, 0, greeting.length);
    machine.go("disk");
    const replies = payloads.map((payload) => reply(OPTION.go, REPLY.info, payload));
    const input = concat(...replies, reply(OPTION.go, REPLY.ack));
    machine.consume(input, 0, input.length);
    return machine.event?.kind;
  };
  const huge = encodeExportInfo(EXPORT);
  new DataView(huge.buffer).setBigUint64(2, 2n ** 53n);
  assert.equal(dropped(huge), "dropped");
  assert.equal(dropped(), "dropped");
  const right = encodeExportInfo(EXPORT);
  assert.equal(dropped(right), "ready");
  for (const minimumBlockBytes of [0, 3, 2 ** 17]) {
    assert.equal(dropped(right, encodeBlockSizeInfo({ ...EXPORT, minimumBlockBytes })), "dropped");
  }
  for (const preferredBlockBytes of [0, 256, 5000]) {
    assert.equal(
      dropped(right, encodeBlockSizeInfo({ ...EXPORT, preferredBlockBytes })),
      "dropped",
    );
  }
  assert.equal(dropped(right.subarray(0, 11)), "dropped");
  assert.equal(dropped(concat(right, new Uint8Array(1))), "dropped");
});

Deno.test("ClientNegotiation bounds what it keeps of a server's replies", () => {
  const greeting = encodeGreeting();
  // Too long, too many, and too much in all.
  for (const [length, count] of [[20_000, 1], [0, 4097], [16_384, 17]] as const) {
    for (const option of [OPTION.list, OPTION.go, 0x64560001]) {
      const machine = new ClientNegotiation();
      machine.consume(greeting, 0, greeting.length);
      if (option === OPTION.go) machine.go("disk");
      else machine.option(option);
      const one = reply(option, REPLY.server, new Uint8Array(length));
      for (let i = 0; i < count; i++) {
        assert.equal(machine.event, null, `${i} of ${length} bytes are accepted`);
        machine.consume(one, 0, one.length);
      }
      assert.equal(machine.event?.kind, "dropped");
    }
  }
});

Deno.test("ClientNegotiation reads EXPORT_NAME's answer with and without zeroes", () => {
  for (const noZeroes of [true, false]) {
    const machine = new ClientNegotiation();
    const greeting = encodeGreeting();
    if (!noZeroes) greeting[17] = 1;
    machine.consume(greeting, 0, greeting.length);
    machine.exportName("disk");
    const input = concat(encodeExportNameAnswer(EXPORT, { noZeroes }), new Uint8Array(5));
    const at = machine.consume(input, 0, input.length);
    assert.equal(machine.event?.kind, "ready");
    assert.equal(at, input.length - 5);
  }
});

Deno.test("client and server negotiate with each other byte by byte", () => {
  const server = new ServerNegotiation();
  const client = new ClientNegotiation();
  const heard: string[] = [];
  for (let round = 0; round < 50 && client.event?.kind !== "ready"; round++) {
    for (const byte of concat(...server.takeOutput())) {
      client.consume(new Uint8Array([byte]), 0, 1);
    }
    if (client.event?.kind === "greeted") client.go("disk");
    for (const byte of concat(...client.takeOutput())) {
      server.consume(new Uint8Array([byte]), 0, 1);
    }
    if (server.event?.kind === "find") {
      heard.push(server.event.name);
      server.answerExport(EXPORT);
    }
  }
  assert.deepEqual(client.event, { kind: "ready", info: EXPORT });
  assert.deepEqual(heard, ["disk"]);
});
