import assert from "node:assert/strict";
import { concat } from "../../protocol/core/bytes.ts";
import { OPTION } from "../../protocol/nbd/constants.ts";
import { encodeOption } from "../../protocol/nbd/option_frames.ts";
import type { Handle, Io } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import type { TlsDoor } from "../tls/door.ts";
import { UNIT_ID } from "../tls/testing.ts";
import { encodeVerdict } from "../tls/verdict.ts";
import type { RemoteLeg } from "./leg.ts";
import { assignmentOf, LegBench } from "./testing_leg.ts";

/** What a leg does with the TLS worker's verdict, where the test is that worker. */

const NOTHING = new Uint8Array(0);
const FIRST_OPTION = encodeOption(OPTION.structuredReply, NOTHING);
const FAILED = encodeVerdict("its certificate names urn:dvsan:unit:another");
const SECURE = encodeVerdict(null);

/** The socket that a leg has handed over, and the worker's end of its socket pair. */
class HandedOver {
  readonly uri: string;
  heard: Uint8Array = NOTHING;
  /** The leg has closed its end. */
  isLeft = false;
  /** The leg has said so besides. */
  isEnded = false;
  readonly #io: Io;
  readonly #socket: Handle;
  readonly #plain: Handle;
  readonly #receive = new Operation((operation) => this.#received(operation));

  constructor(io: Io, of: { socket: Handle; plain: Handle; uri: string }) {
    this.#io = io;
    this.#socket = of.socket;
    this.#plain = of.plain;
    this.uri = of.uri;
    io.receive(this.#receive, of.plain);
  }

  say(bytes: Uint8Array): void {
    const off = this.#io.buffers.take(bytes.length);
    this.#io.bytes.set(bytes, off);
    const sent = new Operation(() => this.#io.buffers.release(off));
    this.#io.send(sent, this.#plain, off, bytes.length);
  }

  close(): void {
    this.#io.close(this.#socket);
    this.#io.close(this.#plain);
  }

  #received({ off, result }: Operation): void {
    if (result <= 0) return void (this.isLeft = true);
    this.heard = concat(this.heard, this.#io.bytes.subarray(off, off + result));
    this.#io.buffers.release(off);
    this.#io.receive(this.#receive, this.#plain);
  }
}

/** A leg that requires TLS, and a unit that has it. */
class VerdictBench {
  readonly bench = new LegBench();
  readonly unit: FakeUnit;
  readonly leg: RemoteLeg;
  readonly #handedOver: HandedOver[] = [];

  constructor() {
    const { bench } = this;
    const io: Io = bench.io;
    const handles = new Map<Handle, HandedOver>();
    const hosts: TlsDoor = {
      policy: "require",
      secure: (socket, as) => {
        const [ours, plain] = io.socketPair();
        assert.ok(as.side === "client");
        const handedOver = new HandedOver(io, { socket, plain, uri: as.uri });
        handles.set(ours, handedOver);
        this.#handedOver.push(handedOver);
        return ours;
      },
      ended: (plain) => handles.get(plain)!.isEnded = true,
    };
    this.unit = bench.unit({
      door: { policy: "require", secure: (socket) => socket, ended: () => {} },
    });
    const assignment = { ...assignmentOf(this.unit), unitId: UNIT_ID };
    this.leg = bench.leg(this.unit, { assignment, door: hosts });
  }

  /** The n-th connection that was handed over. */
  try(n: number): HandedOver {
    this.bench.until(() => this.#handedOver.length > n, "STARTTLS");
    return this.#handedOver[n]!;
  }

  untilReason(words: RegExp): void {
    this.bench.until(() => words.test(this.leg.status().reason ?? ""), `${words}`);
  }

  [Symbol.dispose](): void {
    let isClosed = false;
    this.leg.close(() => isClosed = true);
    this.bench.until(() => isClosed, "the end");
    for (const each of this.#handedOver) each.close();
    this.bench.end([], [this.unit]);
  }
}

Deno.test("a leg says nothing to a unit of which TLS has not said yet that it is the one", () => {
  using setting = new VerdictBench();
  const handedOver = setting.try(0);
  assert.equal(handedOver.uri, `urn:dvsan:unit:${UNIT_ID}`);
  setting.bench.pass(1000);
  assert.deepEqual([handedOver.heard, handedOver.isLeft], [NOTHING, false]);
  handedOver.say(SECURE);
  setting.bench.until(() => handedOver.heard.length >= FIRST_OPTION.length, "its first option");
  assert.deepEqual(handedOver.heard, FIRST_OPTION);
});

for (const [how, pieces] of [["at once", [FAILED]], ["in pieces", pieceByPiece(FAILED)]] as const) {
  Deno.test(`a leg says nothing to a unit that TLS refused, which it hears ${how}, and tries again`, () => {
    using setting = new VerdictBench();
    for (let n = 0; n < 2; n++) {
      const handedOver = setting.try(n);
      for (const piece of pieces) {
        handedOver.say(piece);
        setting.bench.io.turn(10);
      }
      setting.bench.until(() => handedOver.isLeft, "the leg to leave");
      assert.deepEqual(handedOver.heard, NOTHING);
      assert.ok(handedOver.isEnded);
      setting.untilReason(/: TLS failed: its certificate names urn:dvsan:unit:another$/);
      assert.ok(!setting.leg.isReady);
    }
    assert.deepEqual(setting.unit.attachments, []);
  });
}

Deno.test("a leg leaves a unit that says something behind the handshake before it was asked", () => {
  using setting = new VerdictBench();
  const handedOver = setting.try(0);
  handedOver.say(concat(SECURE, FIRST_OPTION));
  setting.untilReason(/sent more than it was asked for/);
  assert.deepEqual([handedOver.heard, handedOver.isEnded], [NOTHING, true]);
});

function pieceByPiece(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}
