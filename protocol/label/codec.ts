import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { decode as decodeCbor, encode as encodeCbor } from "cborg";
import { assert } from "../core/assert.ts";
import {
  bytesEqual,
  fromHex,
  hexOf,
  readSafeU64,
  utf8,
  viewOf,
  writeSafeU64,
} from "../core/bytes.ts";
import { LABEL_REGION_BYTES } from "../core/limits.ts";
import { invalidLabel, Label, type VolumeRecord } from "./label.ts";

/** Bytes of a label copy; README.md has the table. Nothing here does I/O, or throws on bytes. */

export type Copy = "A" | "B";

export const SECTOR_BYTES = 512;
const HEADER_BYTES = 48;
const PAYLOAD_BYTES = SECTOR_BYTES - HEADER_BYTES - 4;
/** Copies are written in whole blocks of 4 KiB. */
const SECTORS_STEP = 8;
const MAGIC = utf8("DVSANLBL");
const VERSION = 1;
const DIGEST_BYTES = 32;
/** Length and digest before the body. */
const PREFIX_BYTES = 4 + DIGEST_BYTES;
export const LABEL_SECTORS_MAX = LABEL_REGION_BYTES / SECTOR_BYTES;
/** The longest body that a copy can hold. */
export const LABEL_BODY_BYTES_MAX = LABEL_SECTORS_MAX * PAYLOAD_BYTES - PREFIX_BYTES;

const DECODE_OPTIONS = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
};

export interface Sector {
  readonly sequence: number;
  readonly index: number;
  readonly count: number;
  readonly mediumId: string;
  /** Tells two writings of the same sequence apart: the start of the body's digest, in hex. */
  readonly writing: string;
  readonly payload: Uint8Array;
}

export type Decoded = { readonly label: Label } | { readonly reason: string };

/** The CBOR body of a label, or of a part of one. */
export function encodeBody(label: Label | VolumeRecord): Uint8Array {
  return encodeCbor(label);
}

/** Where copy B starts on a medium of this size; copy A starts at 0. */
export function copyBStart(sizeBytes: number): number {
  return Math.floor(sizeBytes / LABEL_REGION_BYTES) * LABEL_REGION_BYTES - LABEL_REGION_BYTES;
}

/** Both copies, each a multiple of 4 KiB. The label must fit (see LABEL_BODY_BYTES_MAX). */
export function encodeCopies(label: Label): Readonly<Record<Copy, Uint8Array>> {
  const invalid = invalidLabel(label);
  assert(invalid === null, `a label to be written is invalid: ${invalid}`);
  const body = encodeBody(label);
  assert(body.length <= LABEL_BODY_BYTES_MAX, "a label to be written does not fit");
  const stream = new Uint8Array(PREFIX_BYTES + body.length);
  viewOf(stream).setUint32(0, body.length);
  stream.set(digestOf(body), 4);
  stream.set(body, PREFIX_BYTES);
  return { A: sectorsOf(label, stream, "A"), B: sectorsOf(label, stream, "B") };
}

function sectorsOf(label: Label, stream: Uint8Array, copy: Copy): Uint8Array {
  const needed = Math.ceil(stream.length / PAYLOAD_BYTES);
  const count = Math.ceil(needed / SECTORS_STEP) * SECTORS_STEP;
  const bytes = new Uint8Array(count * SECTOR_BYTES);
  const id = uuidBytes(label.mediumId);
  for (let index = 0; index < count; index++) {
    const sector = bytes.subarray(index * SECTOR_BYTES, (index + 1) * SECTOR_BYTES);
    const view = viewOf(sector);
    sector.set(MAGIC);
    view.setUint16(8, VERSION);
    view.setUint16(10, copy === "A" ? 0 : 1);
    view.setUint16(12, index);
    view.setUint16(14, count);
    writeSafeU64(view, 16, label.sequence);
    sector.set(id, 24);
    // The start of the digest tells this writing from another of the same sequence.
    sector.set(stream.subarray(4, 12), 40);
    const from = index * PAYLOAD_BYTES;
    sector.set(stream.subarray(from, from + PAYLOAD_BYTES), HEADER_BYTES);
    view.setUint32(SECTOR_BYTES - 4, crc32(sector.subarray(0, SECTOR_BYTES - 4)));
  }
  return bytes;
}

/** One sector of a copy, or why it is not one. */
export function decodeSector(bytes: Uint8Array, copy: Copy): Sector | { readonly reason: string } {
  if (bytes.length < SECTOR_BYTES) return { reason: "shorter than a sector" };
  const view = viewOf(bytes);
  if (!bytesEqual(bytes.subarray(0, 8), MAGIC)) return { reason: "no label magic" };
  const sum = crc32(bytes.subarray(0, SECTOR_BYTES - 4));
  if (view.getUint32(SECTOR_BYTES - 4) !== sum) return { reason: "wrong checksum" };
  if (view.getUint16(8) !== VERSION) {
    return { reason: `label version ${view.getUint16(8)} is not known to this dvsan` };
  }
  if (view.getUint16(10) !== (copy === "A" ? 0 : 1)) return { reason: "it is the other copy's" };
  const index = view.getUint16(12);
  const count = view.getUint16(14);
  if (count < 1 || count > LABEL_SECTORS_MAX || count % SECTORS_STEP !== 0 || index >= count) {
    return { reason: "sector numbers out of range" };
  }
  const sequence = readSafeU64(view, 16);
  if (sequence < 1) return { reason: "sequence out of range" };
  return {
    sequence,
    index,
    count,
    mediumId: uuidText(bytes.subarray(24, 40)),
    writing: hexOf(bytes.subarray(40, 48)),
    payload: bytes.subarray(HEADER_BYTES, SECTOR_BYTES - 4),
  };
}

/** The label that a copy holds, or why it holds none. Bytes after the copy are not looked at. */
export function decodeCopy(bytes: Uint8Array, copy: Copy): Decoded {
  const first = decodeSector(bytes, copy);
  if ("reason" in first) return { reason: `sector 0: ${first.reason}` };
  if (bytes.length < first.count * SECTOR_BYTES) return { reason: "cut short" };
  const stream = new Uint8Array(first.count * PAYLOAD_BYTES);
  for (let index = 0; index < first.count; index++) {
    const sector = decodeSector(bytes.subarray(index * SECTOR_BYTES), copy);
    if ("reason" in sector) return { reason: `sector ${index}: ${sector.reason}` };
    if (
      sector.index !== index || sector.count !== first.count ||
      sector.sequence !== first.sequence || sector.mediumId !== first.mediumId ||
      sector.writing !== first.writing
    ) return { reason: `sector ${index} belongs to another writing of the label` };
    stream.set(sector.payload, index * PAYLOAD_BYTES);
  }
  const length = viewOf(stream).getUint32(0);
  if (length > stream.length - PREFIX_BYTES) return { reason: "body length out of range" };
  const body = stream.subarray(PREFIX_BYTES, PREFIX_BYTES + length);
  if (!bytesEqual(stream.subarray(4, PREFIX_BYTES), digestOf(body))) {
    return { reason: "wrong digest of the body" };
  }
  if (stream.subarray(PREFIX_BYTES + length).some((byte) => byte !== 0)) {
    return { reason: "padding is not zero" };
  }
  const decoded = decodeBody(body);
  if ("reason" in decoded) return decoded;
  const { label } = decoded;
  if (label.sequence !== first.sequence || label.mediumId !== first.mediumId) {
    return { reason: "body and sectors disagree" };
  }
  return decoded;
}

/** Checks form and sense of a CBOR body. */
export function decodeBody(body: Uint8Array): Decoded {
  let value: unknown;
  try {
    value = decodeCbor(body, DECODE_OPTIONS);
  } catch (error) {
    return { reason: `not canonical CBOR: ${error instanceof Error ? error.message : error}` };
  }
  const parsed = Label.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { reason: `not a label: ${issue?.path.join(".")}: ${issue?.message}` };
  }
  // One label has one form: this also catches text that is not UTF-8 and keys out of order.
  if (!bytesEqual(encodeBody(parsed.data), body)) return { reason: "not in canonical form" };
  const invalid = invalidLabel(parsed.data);
  return invalid === null ? { label: parsed.data } : { reason: invalid };
}

function digestOf(body: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(Buffer.from(body)).digest());
}

function uuidBytes(text: string): Uint8Array {
  const bytes = fromHex(text.replaceAll("-", ""));
  assert(bytes !== null && bytes.length === 16, "a medium id that is no UUID");
  return bytes;
}

function uuidText(bytes: Uint8Array): string {
  const hex = hexOf(bytes);
  return [0, 8, 12, 16, 20].map((at, i, cuts) => hex.slice(at, cuts[i + 1] ?? 32)).join("-");
}
