import assert from "node:assert/strict";
import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { COMMAND, SIMPLE_REPLY_MAGIC, WIRE_ERROR } from "../../protocol/nbd/constants.ts";
import { encodeClientFlags, encodeOption } from "../../protocol/nbd/option_frames.ts";
import { encodeInfoRequest } from "../../protocol/nbd/option_data.ts";
import { writeRequest } from "../../protocol/nbd/request.ts";
import type { Chance } from "./chance.ts";

/** Greeting, one INFO reply with its ACK. */
const NEGOTIATION_BYTES = 18 + 32 + 20;
const PAYLOAD_BYTES_MAX = 96 * 1024;
const GO = 7;

interface Expected {
  readonly error: number;
  /** What a READ has to bring. */
  readonly data: Uint8Array | null;
}

/** What one client says, and what it must hear: requests of which some are wrong in some way. */
export class Script {
  /** All bytes, from the client's flags on. */
  readonly bytes: Uint8Array;
  /** What the disk has to hold in the end. */
  readonly model: Uint8Array;
  /** Bytes that a server does not have to make sense of come at some point. */
  readonly isBroken: boolean;
  readonly #chance: Chance;
  readonly #expected = new Map<number, Expected>();

  constructor(
    chance: Chance,
    { name, sizeBytes, requests }: { name: string; sizeBytes: number; requests: number },
  ) {
    this.#chance = chance;
    this.model = new Uint8Array(sizeBytes);
    this.isBroken = chance.oneIn(4);
    const parts = [encodeClientFlags(3), encodeOption(GO, encodeInfoRequest({ name, infos: [] }))];
    for (let cookie = 0; cookie < requests; cookie++) parts.push(...this.#request(cookie));
    const end = writeRequestBytes({ command: COMMAND.disconnect, cookie: requests });
    const whole = concat(...parts, end);
    // Anything may happen to what a broken client says after it was let in.
    const kept = parts[0]!.length + parts[1]!.length;
    this.bytes = this.isBroken
      ? concat(whole.subarray(0, kept), chance.bend(whole.subarray(kept)))
      : whole;
  }

  /** How much is to be heard in all. */
  get heardBytes(): number {
    let bytes = NEGOTIATION_BYTES;
    for (const { data } of this.#expected.values()) bytes += 16 + (data?.length ?? 0);
    return bytes;
  }

  /** Looks at everything that was heard. */
  check(heard: Uint8Array, { complete }: { complete: boolean }): void {
    if (!complete) return;
    assert.equal(heard.length, this.heardBytes, "everything is answered once");
    const view = viewOf(heard);
    const left = new Set(this.#expected.keys());
    for (let at = NEGOTIATION_BYTES; at < heard.length;) {
      assert.equal(view.getUint32(at), SIMPLE_REPLY_MAGIC);
      const cookie = view.getUint32(at + 12);
      assert.ok(left.delete(cookie), `request ${cookie} is answered once`);
      const { error, data } = this.#expected.get(cookie)!;
      assert.equal(view.getUint32(at + 4), error, `the error of request ${cookie}`);
      at += 16;
      if (data === null) continue;
      assert.deepEqual(heard.subarray(at, at + data.length), data, `the data of ${cookie}`);
      at += data.length;
    }
  }

  #request(cookie: number): Uint8Array[] {
    const chance = this.#chance;
    const command = chance.oneIn(12)
      ? chance.pick([COMMAND.cache, COMMAND.blockStatus, 99])
      : chance.pick([COMMAND.read, COMMAND.write, COMMAND.trim, COMMAND.writeZeroes]);
    const position = chance.oneIn(15)
      ? this.model.length - chance.below(10)
      : chance.below(this.model.length - PAYLOAD_BYTES_MAX);
    const length = chance.oneIn(15) ? 0 : chance.below(chance.pick([10, 600, 9000, 96_000]));
    const header = writeRequestBytes({ command, position, length, cookie });
    const isInside = position + length <= this.model.length;
    switch (command) {
      case COMMAND.read:
        if (isInside) this.#keep(cookie, position, length);
        else this.#expect(cookie, WIRE_ERROR.invalid);
        return [header];
      case COMMAND.write: {
        const payload = new Uint8Array(length).fill(1 + chance.below(255));
        if (isInside) this.model.set(payload, position);
        this.#expect(cookie, isInside ? 0 : WIRE_ERROR.noSpace);
        return [header, payload];
      }
      case COMMAND.trim:
      case COMMAND.writeZeroes: {
        if (isInside) this.model.fill(0, position, position + length);
        const error = command === COMMAND.trim ? WIRE_ERROR.invalid : WIRE_ERROR.noSpace;
        this.#expect(cookie, isInside ? 0 : error);
        return [header];
      }
      default:
        this.#expect(cookie, WIRE_ERROR.invalid);
        return [header];
    }
  }

  #expect(cookie: number, error: number): void {
    this.#expected.set(cookie, { error, data: null });
  }

  /** The model as it is now is what a READ must bring: a client's requests run in their order. */
  #keep(cookie: number, position: number, length: number): void {
    this.#expected.set(cookie, { error: 0, data: this.model.slice(position, position + length) });
  }
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
