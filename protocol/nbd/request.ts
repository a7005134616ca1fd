import { readSafeU64, writeSafeU64 } from "../core/bytes.ts";
import { NBD_PAYLOAD_BYTES_MAX } from "../core/limits.ts";
import {
  COMMAND,
  COMMAND_FLAGS,
  REQUEST_HEADER_BYTES,
  REQUEST_MAGIC,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  TRANSMISSION_FLAGS,
  WIRE_ERROR,
} from "./constants.ts";
import type { ExportInfo } from "./export_info.ts";

/**
 * Requests as the server reads them and the client writes them; compact headers (28 bytes). A
 * reader keeps the request's fields in itself, so reading allocates nothing.
 */
export class RequestReader {
  flags = 0;
  command = 0;
  /** The cookie is echoed, never looked at: two halves. */
  cookieHigh = 0;
  cookieLow = 0;
  /** A safe integer, or -1 when it is past 2^53. */
  position = 0;
  /** Up to 2^32 - 1. */
  length = 0;
  /** A whole header is in the fields; set back by `next`. */
  complete = false;
  /** The stream does not hold a request where one must begin; it can only be closed. */
  broken = false;

  readonly #partial = new Uint8Array(REQUEST_HEADER_BYTES);
  readonly #partialView = new DataView(this.#partial.buffer);
  #have = 0;
  #skip = 0;

  /** Bytes of a header or a skipped payload have come, and the rest has not. */
  get midway(): boolean {
    return this.#have > 0 || this.#skip > 0;
  }

  /** A payload is being thrown away. */
  get skipping(): boolean {
    return this.#skip > 0;
  }

  /** Makes ready for the next header, after `length` bytes that are thrown away. */
  next(skip: number): void {
    this.complete = false;
    this.#skip = skip;
  }

  /**
   * Takes bytes until a header is complete, or all of [from, to); returns the position of the
   * first byte not taken. `view` covers the same memory as `bytes`.
   */
  take(source: ByteSource, from: number, to: number): number {
    let at = from;
    if (this.#skip > 0) {
      const count = Math.min(this.#skip, to - at);
      this.#skip -= count;
      at += count;
      if (this.#skip > 0) return at;
    }
    if (this.#have === 0 && to - at >= REQUEST_HEADER_BYTES) {
      this.#read(source.view, at);
      return at + REQUEST_HEADER_BYTES;
    }
    const count = Math.min(REQUEST_HEADER_BYTES - this.#have, to - at);
    // Byte by byte: a view of these few would be garbage.
    for (let i = 0; i < count; i++) this.#partial[this.#have + i] = source.bytes[at + i]!;
    this.#have += count;
    if (this.#have === REQUEST_HEADER_BYTES) {
      this.#have = 0;
      this.#read(this.#partialView, 0);
    }
    return at + count;
  }

  #read(view: DataView, at: number): void {
    if (view.getUint32(at) !== REQUEST_MAGIC) {
      this.broken = true;
      return;
    }
    this.flags = view.getUint16(at + 4);
    this.command = view.getUint16(at + 6);
    this.cookieHigh = view.getUint32(at + 8);
    this.cookieLow = view.getUint32(at + 12);
    this.position = readSafeU64(view, at + 16);
    this.length = view.getUint32(at + 24);
    this.complete = true;
  }
}

/** Memory and a view of all of it: an Io's arena, or a copy of received bytes. */
export interface ByteSource {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** What was agreed on before transmission, and decides what requests may ask for. */
export interface Agreed {
  readonly structuredReplies: boolean;
  /** `base:allocation` was selected for the export that was opened. */
  readonly allocation: boolean;
  /** 32-byte headers with 64-bit lengths; not spoken yet. */
  readonly extendedHeaders: boolean;
}

/** What a client that asked for nothing gets. */
export const NOTHING_AGREED: Agreed = Object.freeze({
  structuredReplies: false,
  allocation: false,
  extendedHeaders: false,
});

/** The fields of a request. */
export interface RequestFields {
  readonly flags: number;
  readonly command: number;
  readonly position: number;
  readonly length: number;
}

/**
 * The wire error that a request gets before any device sees it, or 0 when it is right. DISC is
 * not asked about here: it has no reply. What the document leaves open is in README.md.
 */
export function requestError(
  request: RequestFields,
  info: ExportInfo,
  agreed: Agreed = NOTHING_AGREED,
): number {
  const { command, position, length } = request;
  const allowed = allowedFlags(command, info, agreed);
  if (allowed < 0 || (request.flags & ~allowed) !== 0) return WIRE_ERROR.invalid;
  if (!isOffered(command, info)) return WIRE_ERROR.invalid;
  if (command === COMMAND.flush) return 0;
  if (isChange(command) && (info.flags & TRANSMISSION_FLAGS.readOnly) !== 0) return WIRE_ERROR.perm;
  if (hasPayload(command) && length > info.maximumPayloadBytes) return WIRE_ERROR.invalid;
  if (position < 0 || position + length > info.sizeBytes) {
    return isAddition(command) ? WIRE_ERROR.noSpace : WIRE_ERROR.invalid;
  }
  const mask = info.minimumBlockBytes - 1;
  if ((length & mask) !== 0 || (position & mask) !== 0) return WIRE_ERROR.invalid;
  // A status has at least one run, and a run at least one byte.
  return command === COMMAND.blockStatus && length === 0 ? WIRE_ERROR.invalid : 0;
}

/** READ and WRITE: their length is that of a payload. */
function hasPayload(command: number): boolean {
  return command === COMMAND.read || command === COMMAND.write;
}

function isChange(command: number): boolean {
  return isAddition(command) || command === COMMAND.trim;
}

function isAddition(command: number): boolean {
  return command === COMMAND.write || command === COMMAND.writeZeroes;
}

/** A read-only export does not offer TRIM and WRITE_ZEROES, and still says why it refuses them. */
function isOffered(command: number, info: ExportInfo): boolean {
  const flag = TRANSMISSION_FLAGS;
  if (command === COMMAND.cache) return (info.flags & flag.sendCache) !== 0;
  if ((info.flags & flag.readOnly) !== 0) return true;
  if (command === COMMAND.trim) return (info.flags & flag.sendTrim) !== 0;
  if (command === COMMAND.writeZeroes) return (info.flags & flag.sendWriteZeroes) !== 0;
  return true;
}

/** Flags that a command may carry, or -1 for a command that is not served. */
function allowedFlags(command: number, info: ExportInfo, agreed: Agreed): number {
  // FUA is legal on every command once it is advertised.
  const { fua, df, noHole, fastZero, reqOne } = COMMAND_FLAGS;
  switch (command) {
    case COMMAND.read:
      return agreed.structuredReplies ? fua | df : fua;
    case COMMAND.write:
    case COMMAND.flush:
    case COMMAND.trim:
    case COMMAND.cache:
      return fua;
    case COMMAND.writeZeroes:
      if ((info.flags & TRANSMISSION_FLAGS.sendFastZero) === 0) return fua | noHole;
      return fua | noHole | fastZero;
    case COMMAND.blockStatus:
      return agreed.allocation ? fua | reqOne : -1;
    default:
      return -1;
  }
}

/** Writes the header of a simple reply, 16 bytes. The error is one of WIRE_ERROR, or 0. */
export function writeSimpleReply(
  view: DataView,
  at: number,
  reply: { readonly cookieHigh: number; readonly cookieLow: number; readonly error: number },
): number {
  view.setUint32(at, SIMPLE_REPLY_MAGIC);
  view.setUint32(at + 4, reply.error);
  view.setUint32(at + 8, reply.cookieHigh);
  view.setUint32(at + 12, reply.cookieLow);
  return at + SIMPLE_REPLY_BYTES;
}

/** Writes a request header, 28 bytes; the position is a safe integer. */
export function writeRequest(
  view: DataView,
  at: number,
  request: RequestFields & { readonly cookieHigh: number; readonly cookieLow: number },
): number {
  view.setUint32(at, REQUEST_MAGIC);
  view.setUint16(at + 4, request.flags);
  view.setUint16(at + 6, request.command);
  view.setUint32(at + 8, request.cookieHigh);
  view.setUint32(at + 12, request.cookieLow);
  writeSafeU64(view, at + 16, request.position);
  view.setUint32(at + 24, request.length);
  return at + REQUEST_HEADER_BYTES;
}

/** The largest payload that is offered. */
export const MAXIMUM_PAYLOAD_BYTES = NBD_PAYLOAD_BYTES_MAX;
