import { decode, encode } from "cborg";
import { z } from "zod";
import { assert } from "../core/assert.ts";
import { concat, fromHex, hexOf, utf8 } from "../core/bytes.ts";
import type { ErrorCode } from "../core/errors.ts";
import { NBD_ATTACH_BYTES_MAX } from "../core/limits.ts";
import { Count, Generation } from "../config/bodies.ts";
import { Handshake, type KeyPair } from "../noise/handshake.ts";

/**
 * The two private NBD options by which a host's agent proves who it is, and the unit proves itself,
 * before GO (data-path.md §3). Framing only, both sides, without I/O.
 *
 *     client                                       server
 *     ATTACH_CHALLENGE, no data                ->
 *                                              <-  reply of that type: 32 random bytes; ACK
 *     ATTACH, volume UUID (16), Noise KK 1     ->
 *                                              <-  reply of that type: Noise KK 2; ACK
 *     GO, the volume UUID's text as the name   ->
 *
 * A reply's type is the option's number. A refusal is an error reply of one of the private types
 * below, with a text. The server's challenge is in the prologue, so a message 1 that was seen on
 * the wire proves nothing on another connection.
 */
export const OPTION_ATTACH_CHALLENGE = 0x64560001;
export const OPTION_ATTACH = 0x64560002;

export const ATTACH_CHALLENGE_BYTES = 32;
export const VERIFIER_BYTES = 32;
export const CONTINUITY_BYTES = 32;
const UUID_BYTES = 16;
const PROLOGUE = utf8("dvsan attach 1");

/** Why a unit does not let an attachment in. What the host does next depends on it. */
export const ATTACH_REFUSALS = {
  /** The proof does not fit the grant: not yours. */
  denied: 0xe4560001,
  /** Proven, but the grant was taken back or given anew: ask the station. */
  fenced: 0xe4560002,
  /** No such volume or grant here: wrong unit, or its media are not all there. */
  unknown: 0xe4560003,
  /** The unit is shutting down: come back later. */
  draining: 0xe4560004,
  /** Something else is under way (zeroing, another attach, fencing): try again soon. */
  busy: 0xe4560005,
  /** A higher attachment number came in, or a connection of this number was lost: use a new one. */
  superseded: 0xe4560006,
} as const;
export type AttachRefusal = keyof typeof ATTACH_REFUSALS;

const REFUSAL_OF_TYPE = new Map<number, AttachRefusal>(
  Object.entries(ATTACH_REFUSALS).map(([name, type]) => [type, name as AttachRefusal]),
);

/** The refusal that an NBD error reply's type stands for, or null for another type. */
export function attachRefusalOf(replyType: number): AttachRefusal | null {
  return REFUSAL_OF_TYPE.get(replyType) ?? null;
}

/** The error code by which the rest of dvsan knows a refusal. */
export function errorCodeOfRefusal(refusal: AttachRefusal): ErrorCode {
  return refusal === "superseded" ? "cancelled" : refusal;
}

/** Half of what a number can be: a forged refusal does not use the numbers up. */
const OUTRUN_MAX = 2 ** 52;
const OUTRUN = /^attachment (\d{1,16}) came after this one and has no connection/;

/**
 * The text of a "superseded". A host whose numbers were restored from an old backup may go above
 * the number that it names, unless that one is in use: two copies of a host would else take turns.
 */
export function supersededText(attachment: number, { inUse }: { readonly inUse: boolean }): string {
  return `attachment ${attachment} came after this one and has ` +
    (inUse ? "connections: another copy of this host uses the disk" : "no connection");
}

/** The number that a host may go above, of a "superseded"'s text; null where it may not. */
export function outrunBy(text: string): number | null {
  const named = OUTRUN.exec(text)?.[1];
  return named === undefined || Number(named) >= OUTRUN_MAX ? null : Number(named);
}

const AttachRequest = z.strictObject({ generation: Generation, attachment: Count });
/** What a host asks for, once its proof was read. */
export type AttachRequest = z.infer<typeof AttachRequest>;

/** What an export has not forgotten, as a text that is compared and never read. */
const tokenOf = (bytes: number) =>
  z.custom<Uint8Array>((v) => v instanceof Uint8Array && v.length === bytes);

const AttachAnswer = z.strictObject({
  /**
   * Stands for what the export has not forgotten: when it changed, acknowledged writes that were
   * not flushed may be gone (data-path.md §5).
   */
  verifier: tokenOf(VERIFIER_BYTES),
  /**
   * The same for who does not replay: it stays while processes of the unit come and go, whose
   * writes the kernel keeps, and changes only when acknowledged writes may truly be gone.
   */
  continuity: tokenOf(CONTINUITY_BYTES),
  /** Of the export, without the volume's header. */
  sizeBytes: Count,
});
export type AttachAnswer = z.infer<typeof AttachAnswer>;

/** The host's side of one attaching; used once, for one connection. */
export class AttachClient {
  readonly #handshake: Handshake;
  readonly #options: AttachClientOptions;

  constructor(challenge: Uint8Array, options: AttachClientOptions) {
    this.#options = options;
    this.#handshake = new Handshake({
      pattern: "KK",
      initiator: true,
      prologue: prologueOf(challenge, options.volumeId),
      localStatic: options.host,
      remoteStatic: options.unitKey,
      ephemeral: options.ephemeral,
    });
  }

  /** The data of the ATTACH option. Called once, before `readAnswer`. */
  option(): Uint8Array {
    const { volumeId, generation, attachment } = this.#options;
    const message = this.#handshake.writeMessage(encode({ generation, attachment }));
    return concat(uuidBytes(volumeId), message);
  }

  /** What the unit answered, or null: forged, garbled, or from another unit. */
  readAnswer(data: Uint8Array): AttachAnswer | null {
    return payloadOf(this.#handshake.readMessage(data), AttachAnswer);
  }
}

export interface AttachClientOptions extends AttachRequest {
  readonly volumeId: string;
  /** The host's identity. */
  readonly host: KeyPair;
  /** The unit's public key, from the assignment. */
  readonly unitKey: Uint8Array;
  /** Fresh for every attaching. */
  readonly ephemeral: KeyPair;
}

/** The ATTACH option's data, taken apart; the proof in `message` is not yet read. */
export interface AttachOption {
  readonly volumeId: string;
  readonly message: Uint8Array;
}

/** Takes the ATTACH option's data apart; a text says why it cannot be. */
export function decodeAttachOption(data: Uint8Array): AttachOption | string {
  if (data.length <= UUID_BYTES) return `${data.length} bytes are too short for ATTACH`;
  if (data.length > NBD_ATTACH_BYTES_MAX) return `${data.length} bytes are too long for ATTACH`;
  return { volumeId: uuidText(data.subarray(0, UUID_BYTES)), message: data.slice(UUID_BYTES) };
}

/** The unit's side of one attaching, for one host key; used once. */
export class AttachServer {
  readonly #handshake: Handshake;

  constructor(challenge: Uint8Array, options: AttachServerOptions) {
    this.#handshake = new Handshake({
      pattern: "KK",
      initiator: false,
      prologue: prologueOf(challenge, options.volumeId),
      localStatic: options.unit,
      remoteStatic: options.hostKey,
      ephemeral: options.ephemeral,
    });
  }

  /** What the holder of `hostKey` asks for, or null when the message does not prove that key. */
  readRequest(message: Uint8Array): AttachRequest | null {
    return payloadOf(this.#handshake.readMessage(message), AttachRequest);
  }

  /** The data of the reply; called once, after `readRequest`. */
  answer(answer: AttachAnswer): Uint8Array {
    assert(answer.verifier.length === VERIFIER_BYTES, "a verifier has 32 bytes");
    assert(answer.continuity.length === CONTINUITY_BYTES, "a continuity has 32 bytes");
    return this.#handshake.writeMessage(encode(answer));
  }
}

export interface AttachServerOptions {
  readonly volumeId: string;
  /** The unit's identity. */
  readonly unit: KeyPair;
  /** The public key of the host that holds the grant. */
  readonly hostKey: Uint8Array;
  /** Fresh for every attaching. */
  readonly ephemeral: KeyPair;
}

/** 16 bytes of a UUID's text, which the caller has checked. */
export function uuidBytes(uuid: string): Uint8Array {
  const bytes = fromHex(uuid.replaceAll("-", ""));
  assert(bytes !== null && bytes.length === UUID_BYTES, `not a UUID: ${uuid}`);
  return bytes;
}

/** The 36-character lower-case text of 16 bytes. */
export function uuidText(bytes: Uint8Array): string {
  assert(bytes.length === UUID_BYTES, "a UUID has 16 bytes");
  const hex = hexOf(bytes);
  return [0, 8, 12, 16, 20].map((at, i, cuts) => hex.slice(at, cuts[i + 1] ?? 32)).join("-");
}

function prologueOf(challenge: Uint8Array, volumeId: string): Uint8Array {
  assert(challenge.length === ATTACH_CHALLENGE_BYTES, "a challenge has 32 bytes");
  return concat(PROLOGUE, challenge, uuidBytes(volumeId));
}

/** The payload's meaning, or null: not sealed by whom it should be, not CBOR, or not this shape. */
function payloadOf<T>(payload: Uint8Array | null, schema: z.ZodType<T>): T | null {
  if (payload === null) return null;
  let value: unknown;
  try {
    value = decode(payload, { allowIndefinite: false, rejectDuplicateMapKeys: true });
  } catch {
    return null;
  }
  const parsed = schema.safeParse(value);
  return parsed.success ? parsed.data : null;
}
