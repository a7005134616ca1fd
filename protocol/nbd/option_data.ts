import { bytesEqual, concat, fromUtf8, utf8 } from "../core/bytes.ts";
import { NBD_STRING_BYTES_MAX } from "../core/limits.ts";
import { INFO } from "./constants.ts";

/** The data of options and option replies. Decoders answer a value, or words for why not. */

/** INFO and GO. */
export interface InfoRequest {
  readonly name: string;
  /** INFO numbers that were asked for; unknown ones are ignored by whoever answers. */
  readonly infos: readonly number[];
}

/** A name as EXPORT_NAME carries it: the whole data. */
export function decodeName(bytes: Uint8Array): { name: string } | string {
  if (bytes.length > NBD_STRING_BYTES_MAX) {
    return `the name has ${bytes.length} bytes, at most ${NBD_STRING_BYTES_MAX} are allowed`;
  }
  if (bytes.includes(0)) return "the name has a NUL in it";
  const name = fromUtf8(bytes);
  // A decoder that strips a byte order mark would make two names one.
  if (name === null || !bytesEqual(utf8(name), bytes)) return "the name is not plain UTF-8";
  return { name };
}

export function decodeInfoRequest(data: Uint8Array): InfoRequest | string {
  if (data.length < 6) return `${data.length} bytes are too short for a name and its requests`;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const nameBytes = view.getUint32(0);
  if (nameBytes > data.length - 6) return "the name is longer than the option";
  const decoded = decodeName(data.subarray(4, 4 + nameBytes));
  if (typeof decoded === "string") return decoded;
  const count = view.getUint16(4 + nameBytes);
  if (data.length !== 6 + nameBytes + 2 * count) {
    return `${data.length} bytes do not fit ${count} requests for information`;
  }
  const infos: number[] = [];
  for (let i = 0; i < count; i++) infos.push(view.getUint16(6 + nameBytes + 2 * i));
  return { name: decoded.name, infos };
}

export function encodeInfoRequest(request: InfoRequest): Uint8Array {
  const name = utf8(request.name);
  const data = new Uint8Array(6 + name.length + 2 * request.infos.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, name.length);
  data.set(name, 4);
  view.setUint16(4 + name.length, request.infos.length);
  request.infos.forEach((info, i) => view.setUint16(6 + name.length + 2 * i, info));
  return data;
}

/** REPLY.server: one name of a listing. */
export function encodeListed(name: string): Uint8Array {
  const bytes = utf8(name);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, bytes.length);
  return concat(length, bytes);
}

/** The name in REPLY.server; what follows it (a description) is not kept. */
export function decodeListed(data: Uint8Array): { name: string } | string {
  if (data.length < 4) return "a listed name needs at least 4 bytes";
  const length = new DataView(data.buffer, data.byteOffset, 4).getUint32(0);
  if (length > data.length - 4) return "a listed name is longer than its reply";
  return decodeName(data.subarray(4, 4 + length));
}

/** Text of an error reply, cut to what the protocol allows and free of NUL. */
export function encodeErrorText(text: string): Uint8Array {
  const bytes = utf8(text.replaceAll("\0", "\ufffd").toWellFormed());
  if (bytes.length <= NBD_STRING_BYTES_MAX) return bytes;
  let end = NBD_STRING_BYTES_MAX;
  // Never cut a character: go back to the start of the one that does not fit.
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

/** Text of an error reply for people; what is not UTF-8 is replaced. */
export function decodeErrorText(data: Uint8Array): string {
  return new TextDecoder().decode(data.subarray(0, NBD_STRING_BYTES_MAX));
}

/** What one REPLY.info payload says. */
export type InfoReply =
  | { readonly kind: "export"; readonly sizeBytes: bigint; readonly flags: number }
  | {
    readonly kind: "block-size";
    readonly minimum: number;
    readonly preferred: number;
    readonly maximum: number;
  }
  | { readonly kind: "other"; readonly info: number };

export function decodeInfoReply(data: Uint8Array): InfoReply | string {
  if (data.length < 2) return "an information reply needs at least 2 bytes";
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const info = view.getUint16(0);
  if (info === INFO.export) {
    if (data.length !== 12) return `export information has ${data.length} bytes, not 12`;
    return { kind: "export", sizeBytes: view.getBigUint64(2), flags: view.getUint16(10) };
  }
  if (info === INFO.blockSize) {
    if (data.length !== 14) return `block size information has ${data.length} bytes, not 14`;
    return {
      kind: "block-size",
      minimum: view.getUint32(2),
      preferred: view.getUint32(6),
      maximum: view.getUint32(10),
    };
  }
  return { kind: "other", info };
}
