import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { utf8 } from "../../protocol/core/bytes.ts";
import {
  AttachClient,
  attachRefusalOf,
  OPTION_ATTACH,
  OPTION_ATTACH_CHALLENGE,
} from "../../protocol/nbd/attach.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import type { Device } from "../devices/device.ts";
import type { GrantTerms } from "../grants/grant_state.ts";
import { GrantTable } from "../grants/grant_table.ts";
import { Operation } from "../io/operation.ts";
import { UnitGate } from "./gate.ts";
import type { ExportEntry, ExportGate, GateConnection, OptionAnswer } from "./server_types.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const TOKEN = "a-token-that-nobody-guesses";
const SIZE = 8 * 2 ** 20;
const CLEAN = { clean: true, reason: "left" };
const unit = keyPairOf(new Uint8Array(32).fill(1));
const host = keyPairOf(new Uint8Array(32).fill(2));
const stranger = keyPairOf(new Uint8Array(32).fill(3));

function terms(counter: number, direct: GrantTerms["direct"] = null): GrantTerms {
  const generation = { epoch: 1, counter };
  return { generation, hostId: "a".repeat(32), hostKey: host.publicKey, direct };
}

/** A connection as the server would have it: shut, and quiet only when the test says so. */
class FakeConnection implements GateConnection {
  readonly #callbacks: (() => void)[] = [];
  isShut = false;
  isOver = false;

  constructor(readonly id: number, readonly peer = { address: "127.0.0.1", port: 4000 }) {}

  shut(_reason: string, quiescent?: () => void): void {
    this.isShut = true;
    if (quiescent !== undefined) this.#callbacks.push(quiescent);
  }

  becomeQuiet(): void {
    for (const run of this.#callbacks.splice(0)) run();
  }
}

class FakeDevice implements Device {
  readonly traits = {
    sizeBytes: SIZE,
    readOnly: false,
    canDiscard: true,
    canZero: true,
    flushCoversAll: true,
    minimumBlockBytes: 1,
    preferredBlockBytes: 4096,
  };
  readonly seen: string[] = [];
  read(): void {
    this.seen.push("read");
  }
  write(): void {
    this.seen.push("write");
  }
  flush(): void {
    this.seen.push("flush");
  }
  discard(): void {
    this.seen.push("discard");
  }
  zero(): void {
    this.seen.push("zero");
  }
}

const others: ExportGate = {
  list: () => ["standalone"],
  find: () => ({ refused: REPLY_ERROR.unknown, text: "no such export" }),
  privateOption: (_connection, _request, answer) =>
    answer({ kind: "refused", type: REPLY_ERROR.unsupported, text: "not spoken here" }),
  ended: () => {},
};

class World {
  readonly table = new GrantTable();
  readonly device = new FakeDevice();
  served = true;
  #seed = 0;
  readonly gate = new UnitGate({
    table: this.table,
    volumes: {
      device: () => this.served ? this.device : null,
      verifier: () => new Uint8Array(32).fill(9),
    },
    unit,
    random: { bytes: (count) => new Uint8Array(count).fill(++this.#seed) },
    others,
  });

  constructor(grant: GrantTerms) {
    this.table.load(VOLUME, { terms: grant, fenced: false });
  }

  option(
    connection: GateConnection,
    option: number,
    payload: Uint8Array = new Uint8Array(0),
  ): OptionAnswer[] {
    const answers: OptionAnswer[] = [];
    this.gate.privateOption(connection, { option, payload }, (answer) => answers.push(answer));
    return answers;
  }

  /** The answers to ATTACH: none while it waits. */
  attach(
    connection: GateConnection,
    options: { attachment: number; counter?: number; host?: typeof host },
  ): { answers: OptionAnswer[]; client: AttachClient } {
    const [challenge] = this.option(connection, OPTION_ATTACH_CHALLENGE);
    assert.equal(challenge?.kind, "answer");
    const client = new AttachClient(challenge.payload, {
      volumeId: VOLUME,
      generation: { epoch: 1, counter: options.counter ?? 1 },
      attachment: options.attachment,
      host: options.host ?? host,
      unitKey: unit.publicKey,
      ephemeral: keyPairOf(new Uint8Array(32).fill(77)),
    });
    return { client, answers: this.option(connection, OPTION_ATTACH, client.option()) };
  }

  entry(connection: GateConnection, name: string): ExportEntry {
    const found = this.gate.find(connection, name);
    assert.ok("device" in found, "found");
    return found;
  }
}

function refusalOf(answers: readonly OptionAnswer[]): string | null {
  const [answer] = answers;
  return answer?.kind === "refused" ? attachRefusalOf(answer.type) : null;
}

Deno.test("a proven host learns verifier and size, and finds its volume; others do not", () => {
  const world = new World(terms(1));
  const [a, b] = [new FakeConnection(1), new FakeConnection(2)];
  const { answers, client } = world.attach(a, { attachment: 1 });
  assert.ok(answers[0]?.kind === "answer");
  assert.deepEqual(client.readAnswer(answers[0].payload), {
    verifier: new Uint8Array(32).fill(9),
    sizeBytes: SIZE,
  });
  assert.equal(world.entry(a, VOLUME).device, world.device);
  assert.deepEqual(world.gate.find(b, VOLUME), {
    refused: REPLY_ERROR.unknown,
    text: "no such export",
  });
  assert.deepEqual(world.gate.list(), ["standalone"]);
});

Deno.test("ATTACH is refused without a challenge, twice with one, and when malformed", () => {
  const world = new World(terms(1));
  const a = new FakeConnection(1);
  const type = (answers: OptionAnswer[]) => answers[0]?.kind === "refused" ? answers[0].type : 0;
  assert.equal(type(world.option(a, OPTION_ATTACH, new Uint8Array(100))), REPLY_ERROR.invalid);
  const data = new Uint8Array(1);
  assert.equal(type(world.option(a, OPTION_ATTACH_CHALLENGE, data)), REPLY_ERROR.invalid);
  assert.equal(refusalOf(world.attach(a, { attachment: 1, host: stranger }).answers), "denied");
  assert.equal(type(world.option(a, OPTION_ATTACH, new Uint8Array(100))), REPLY_ERROR.invalid);
  assert.equal(world.attach(a, { attachment: 1 }).answers[0]?.kind, "answer");
  assert.equal(type(world.attach(a, { attachment: 2 }).answers), REPLY_ERROR.invalid);
  assert.equal(type(world.option(a, 0x64560099)), REPLY_ERROR.unsupported);
});

Deno.test("a higher attachment is answered only when the lower ones are quiet", () => {
  const world = new World(terms(1));
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.attach(a, { attachment: 1 });
  world.attach(b, { attachment: 1 });
  const { answers } = world.attach(c, { attachment: 2 });
  assert.ok(a.isShut && b.isShut);
  a.becomeQuiet();
  assert.equal(answers.length, 0);
  b.becomeQuiet();
  assert.equal(answers[0]?.kind, "answer");
  assert.ok("refused" in world.gate.find(a, VOLUME));
  assert.equal(
    refusalOf(world.attach(new FakeConnection(4), { attachment: 1 }).answers),
    "superseded",
  );
});

Deno.test("a newcomer that waits is itself thrown out by a higher number", () => {
  const world = new World(terms(1));
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.attach(a, { attachment: 1 });
  const second = world.attach(b, { attachment: 2 });
  const third = world.attach(c, { attachment: 3 });
  assert.ok(b.isShut);
  b.becomeQuiet();
  assert.equal(third.answers.length, 0);
  a.becomeQuiet();
  assert.equal(second.answers.length, 0);
  assert.equal(third.answers[0]?.kind, "answer");
});

Deno.test("a volume that cannot be served is unknown, and nobody is thrown out for it", () => {
  const world = new World(terms(1));
  const a = new FakeConnection(1);
  world.attach(a, { attachment: 1 });
  world.served = false;
  assert.equal(
    refusalOf(world.attach(new FakeConnection(2), { attachment: 2 }).answers),
    "unknown",
  );
  assert.equal(a.isShut, false);
});

Deno.test("a connection that was lost lets no other of its number in", () => {
  const world = new World(terms(1));
  const [a, b] = [new FakeConnection(1), new FakeConnection(2)];
  world.attach(a, { attachment: 1 });
  world.attach(b, { attachment: 1 });
  world.entry(a, VOLUME).closed(a, CLEAN);
  world.gate.ended(a, CLEAN);
  assert.equal(world.attach(new FakeConnection(3), { attachment: 1 }).answers[0]?.kind, "answer");
  world.gate.ended(b, { clean: false, reason: "reset" });
  assert.equal(
    refusalOf(world.attach(new FakeConnection(4), { attachment: 1 }).answers),
    "superseded",
  );
});

Deno.test("a connection that is lost but not quiet keeps its number closed and the next waiting", () => {
  const world = new World(terms(1));
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  world.attach(a, { attachment: 1 });
  a.isOver = true;
  assert.equal(refusalOf(world.attach(b, { attachment: 1 }).answers), "superseded");
  const { answers } = world.attach(c, { attachment: 2 });
  assert.equal(answers.length, 0);
  world.gate.ended(a, { clean: false, reason: "reset" });
  assert.equal(answers[0]?.kind, "answer");
});

Deno.test("fence() throws all out and settles when they are quiet; then it is fenced for all", () => {
  const world = new World(terms(1));
  const [a, b] = [new FakeConnection(1), new FakeConnection(2)];
  world.attach(a, { attachment: 1 });
  const settled: string[] = [];
  world.gate.fence(VOLUME, { nowMs: 0, settled: () => settled.push("first") });
  world.gate.fence(VOLUME, { nowMs: 0, settled: () => settled.push("repeat") });
  assert.ok(a.isShut);
  assert.equal(refusalOf(world.attach(b, { attachment: 2 }).answers), "busy");
  assert.equal(settled.length, 0);
  a.becomeQuiet();
  assert.deepEqual(settled, ["first", "repeat"]);
  world.table.fenceDone(VOLUME);
  assert.equal(refusalOf(world.attach(b, { attachment: 2 }).answers), "fenced");
  world.gate.fence(VOLUME, { nowMs: 0, settled: () => settled.push("nobody is in") });
  assert.equal(settled.length, 3);
});

function directWorld(): World {
  const tokenHash = new Uint8Array(createHash("sha256").update(utf8(TOKEN)).digest());
  return new World(terms(1, { tokenHash, addresses: ["127.0.0.1"] }));
}

Deno.test("a direct token works from an announced address only, also when IPv6 shows it", () => {
  const world = directWorld();
  const at = (address: string) => new FakeConnection(1, { address, port: 1 });
  assert.ok("device" in world.gate.find(at("127.0.0.1"), TOKEN));
  assert.ok("device" in world.gate.find(at("::ffff:127.0.0.1"), TOKEN));
  assert.ok("refused" in world.gate.find(at("127.0.0.2"), TOKEN));
  assert.ok("refused" in world.gate.find(at("127.0.0.1"), TOKEN + "x"));
  assert.ok("refused" in world.gate.find(at("127.0.0.1"), "x".repeat(5000)));
});

Deno.test("of direct connections the newest wins, and its requests wait for the older one's", () => {
  const world = directWorld();
  const [a, b, c] = [new FakeConnection(1), new FakeConnection(2), new FakeConnection(3)];
  const first = world.entry(a, TOKEN);
  first.opened(a);
  first.device.flush(new Operation(() => {}));
  assert.deepEqual(world.device.seen, ["flush"]);
  const second = world.entry(b, TOKEN);
  assert.equal(a.isShut, false, "asking about an export throws nobody out");
  second.opened(b);
  assert.ok(a.isShut);
  const results: number[] = [];
  second.device.flush(new Operation((operation) => results.push(operation.result)));
  const third = world.entry(c, TOKEN);
  third.opened(c);
  assert.ok(b.isShut);
  assert.deepEqual(results, [-108], "what never reached the volume ends when it is thrown out");
  b.becomeQuiet();
  third.device.write(new Operation(() => {}), { off: 0, length: 1, position: 0 }, false);
  assert.deepEqual(world.device.seen, ["flush"]);
  a.becomeQuiet();
  assert.deepEqual(world.device.seen, ["flush", "write"]);
  third.device.read(new Operation(() => {}), { off: 0, length: 1, position: 0 });
  assert.deepEqual(world.device.seen, ["flush", "write", "read"]);
});
