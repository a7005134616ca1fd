import assert from "node:assert/strict";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { CHUNK, COMMAND, OPTION, STATE, WIRE_ERROR } from "../../protocol/nbd/constants.ts";
import { encodeMetaContextRequest } from "../../protocol/nbd/meta_contexts.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import type { Chance } from "./chance.ts";
import { HeardReplies, type HeardReply } from "./nbd_heard.ts";

/** Greeting, one INFO reply with its ACK. */
const NEGOTIATION_BYTES = 18 + 32 + 20;
/** The answers to STRUCTURED_REPLY, and to SET_META_CONTEXT with its one context. */
const STRUCTURED_BYTES = 20 + (20 + 4 + 15) + 20;
const PAYLOAD_BYTES_MAX = 96 * 1024;

interface Expected {
  readonly error: number;
  readonly command: number;
  readonly position: number;
  /** What a READ has to bring, or a status is about: the model as it is at that time. */
  readonly data: Uint8Array;
}

/** What one client says, and what it must hear: requests of which some are wrong in some way. */
export class Script {
  /** All bytes, from the client's flags on. */
  readonly bytes: Uint8Array;
  /** What the disk has to hold in the end. */
  readonly model: Uint8Array;
  /** Bytes that a server does not have to make sense of come at some point. */
  readonly isBroken: boolean;
  readonly heard: HeardReplies;
  readonly #chance: Chance;
  readonly #isStructured: boolean;
  readonly #expected = new Map<number, Expected>();

  constructor(
    chance: Chance,
    { name, sizeBytes, requests }: { name: string; sizeBytes: number; requests: number },
  ) {
    this.#chance = chance;
    this.model = new Uint8Array(sizeBytes);
    this.isBroken = chance.oneIn(4);
    this.#isStructured = chance.oneIn(2);
    const opening = concat(...this.#opening(name));
    const parts = [opening];
    for (let cookie = 0; cookie < requests; cookie++) parts.push(...this.#request(cookie));
    const end = writeRequestBytes({ command: COMMAND.disconnect, cookie: requests });
    const whole = concat(...parts, end);
    // Anything may happen to what a broken client says after it was let in.
    const kept = opening.length;
    this.bytes = this.isBroken
      ? concat(whole.subarray(0, kept), chance.bend(whole.subarray(kept)))
      : whole;
    this.heard = new HeardReplies({
      negotiationBytes: NEGOTIATION_BYTES + (this.#isStructured ? STRUCTURED_BYTES : 0),
      structuredReplies: this.#isStructured,
      simpleDataBytes: (cookie) => this.#simpleDataBytes(cookie),
    });
  }

  /** Every request was answered. */
  get isAllHeard(): boolean {
    return this.heard.replies.length >= this.#expected.size;
  }

  /** Looks at everything that was heard. */
  check(): void {
    if (this.isBroken) return;
    assert.equal(this.heard.broken, null);
    assert.ok(this.heard.isBetween, "nothing is left over");
    const left = new Set(this.#expected.keys());
    for (const reply of this.heard.replies) {
      assert.ok(left.delete(reply.cookie), `request ${reply.cookie} is answered once`);
      this.#checkReply(reply, this.#expected.get(reply.cookie)!);
    }
    assert.equal(left.size, 0, "everything is answered");
  }

  #opening(name: string): Uint8Array[] {
    const flags = encodeClientFlags(3);
    const go = encodeOption(OPTION.go, encodeInfoRequest({ name, infos: [] }));
    if (!this.#isStructured) return [flags, go];
    const context = encodeMetaContextRequest({ name, queries: ["base:allocation"] });
    return [
      flags,
      encodeOption(OPTION.structuredReply, new Uint8Array(0)),
      encodeOption(OPTION.setMetaContext, context),
      go,
    ];
  }

  #simpleDataBytes(cookie: number): number {
    const expected = this.#expected.get(cookie);
    return expected?.command === COMMAND.read ? expected.data.length : 0;
  }

  #checkReply(reply: HeardReply, expected: Expected): void {
    const { cookie, type, error } = reply;
    const { command, position, data } = expected;
    assert.ok(reply.isLast);
    assert.equal(error, expected.error, `the error of request ${cookie}`);
    if (error !== 0) return;
    if (command === COMMAND.blockStatus) return checkRuns(reply, data);
    if (command !== COMMAND.read) return assert.equal(type, -1);
    if (type === CHUNK.offsetHole) {
      assert.deepEqual([reply.offset, reply.holeBytes], [position, data.length]);
      assert.ok(data.every((byte) => byte === 0), `the hole of ${cookie}`);
      return;
    }
    assert.deepEqual(reply.data, data, `the data of ${cookie}`);
    if (!this.#isStructured) assert.equal(type, -1);
    else if (data.length === 0) assert.equal(type, CHUNK.none);
    else assert.deepEqual([type, reply.offset], [CHUNK.offsetData, position]);
  }

  #request(cookie: number): Uint8Array[] {
    const chance = this.#chance;
    const command = chance.oneIn(12)
      ? chance.pick([COMMAND.cache, COMMAND.blockStatus, COMMAND.blockStatus, 99])
      : chance.pick([COMMAND.read, COMMAND.write, COMMAND.trim, COMMAND.writeZeroes]);
    const position = chance.oneIn(15)
      ? this.model.length - chance.below(10)
      : chance.below(this.model.length - PAYLOAD_BYTES_MAX);
    const length = chance.oneIn(15) ? 0 : chance.below(chance.pick([10, 600, 9000, 96_000]));
    const header = writeRequestBytes({ command, position, length, cookie });
    const isInside = position + length <= this.model.length;
    switch (command) {
      case COMMAND.read:
      case COMMAND.cache:
        this.#expect(cookie, { command, position, length: isInside ? length : -1 });
        return [header];
      case COMMAND.blockStatus: {
        const isRight = isInside && length > 0 && this.#isStructured;
        this.#expect(cookie, { command, position, length: isRight ? length : -1 });
        return [header];
      }
      case COMMAND.write: {
        const payload = new Uint8Array(length).fill(1 + chance.below(255));
        if (isInside) this.model.set(payload, position);
        this.#expect(cookie, { command, error: isInside ? 0 : WIRE_ERROR.noSpace });
        return [header, payload];
      }
      case COMMAND.trim:
      case COMMAND.writeZeroes: {
        if (isInside) this.model.fill(0, position, position + length);
        const error = command === COMMAND.trim ? WIRE_ERROR.invalid : WIRE_ERROR.noSpace;
        this.#expect(cookie, { command, error: isInside ? 0 : error });
        return [header];
      }
      default:
        this.#expect(cookie, { command, error: WIRE_ERROR.invalid });
        return [header];
    }
  }

  /**
   * `length` is that of a range to look at, or -1 where it is refused; the model as it is now is
   * what must be seen there, since a client's requests run in their order.
   */
  #expect(
    cookie: number,
    of: { command: number; position?: number; length?: number; error?: number },
  ): void {
    const { command, position = 0, length = 0 } = of;
    const error = of.error ?? (length < 0 ? WIRE_ERROR.invalid : 0);
    const data = this.model.slice(position, position + Math.max(0, length));
    this.#expected.set(cookie, { error, command, position, data });
  }
}

/** Runs lie in what was asked about, none is empty, and what they call zero is. */
function checkRuns(reply: HeardReply, about: Uint8Array): void {
  assert.equal(reply.type, CHUNK.blockStatus);
  const view = viewOf(reply.data);
  let at = 0;
  for (let place = 0; place < reply.data.length; place += 8) {
    const length = view.getUint32(place);
    const isZero = (view.getUint32(place + 4) & STATE.zero) !== 0;
    const run = about.subarray(at, at + length);
    assert.ok(length > 0 && run.length === length, "a run lies in what was asked about");
    if (isZero) assert.ok(run.every((byte) => byte === 0), "what is called zero is zero");
    at += length;
  }
  assert.ok(at > 0);
}

function writeRequestBytes(
  request: { command: number; position?: number; length?: number; cookie: number },
): Uint8Array {
  const { command, position = 0, length = 0, cookie } = request;
  const bytes = new Uint8Array(28);
  const fields = { command, position, length, flags: 0, cookieHigh: 7, cookieLow: cookie };
  writeRequest(viewOf(bytes), 0, fields);
  return bytes;
}
