import { readSafeU64 } from "../core/bytes.ts";
import { NBD_ERROR_CHUNK_BYTES_MAX, NBD_STATUS_DESCRIPTORS_MAX } from "../core/limits.ts";
import {
  CHUNK,
  CHUNK_ERROR_BIT,
  CHUNK_FLAGS,
  CHUNK_HEADER_BYTES,
  CHUNK_MAGIC,
  CHUNK_OFFSET_BYTES,
  SIMPLE_REPLY_BYTES,
  SIMPLE_REPLY_MAGIC,
  STATUS_DESCRIPTOR_BYTES,
} from "./constants.ts";
import type { ByteSource } from "./request.ts";

/** Before an error's message: the error and the message's length. */
const ERROR_FIXED_BYTES = 6;
const HOLE_FIXED_BYTES = CHUNK_OFFSET_BYTES + 4;
const CONTEXT_FIXED_BYTES = 4;

/**
 * Replies as a client reads them, simple ones and chunks of structured ones, each with the fixed
 * part of its payload. What is of variable length behind that is the owner's to take: `dataBytes`
 * of a chunk; for a simple reply only the owner knows, since it depends on the request. Reading
 * allocates nothing. What a chunk means for its request is the owner's to judge.
 */
export class ReplyReader {
  /** 0 or a WIRE_ERROR; another server may send any number. */
  error = 0;
  cookieHigh = 0;
  cookieLow = 0;
  /** CHUNK, or -1 for a simple reply. An error chunk of any kind is CHUNK.error. */
  type = -1;
  /** The last of its reply; simple ones are. */
  isLast = false;
  /** Of data and holes: where in the export; -1 past 2^53. */
  offset = 0;
  /** Of a hole. */
  holeBytes = 0;
  /** Of a status. */
  contextId = 0;
  /** Bytes that follow: data, descriptors, or an error's message. */
  dataBytes = 0;
  /** A whole reply or chunk is in the fields; set back by `next`. */
  complete = false;
  /** Why the stream does not hold a reply where one must begin; it can only be closed. */
  broken: string | null = null;

  readonly #structured: boolean;
  readonly #partial = new Uint8Array(CHUNK_HEADER_BYTES + HOLE_FIXED_BYTES);
  readonly #partialView = new DataView(this.#partial.buffer);
  #have = 0;

  constructor(options: { readonly structuredReplies: boolean } = { structuredReplies: false }) {
    this.#structured = options.structuredReplies;
  }

  /** Makes ready for the next header; the owner has taken what followed. */
  next(): void {
    this.complete = false;
  }

  /** Takes bytes until a header is complete, or all; the position of the first byte not taken. */
  take(source: ByteSource, from: number, to: number): number {
    if (this.#have === 0) {
      const need = this.#needOf(source.view, from, to - from);
      if (this.broken !== null) return from;
      if (to - from >= need) {
        this.#read(source.view, from);
        return from + need;
      }
    }
    return this.#takeSlowly(source, from, to);
  }

  #takeSlowly(source: ByteSource, from: number, to: number): number {
    let at = from;
    for (;;) {
      const need = this.#needOf(this.#partialView, 0, this.#have);
      if (this.broken !== null) return at;
      if (this.#have === need) break;
      if (at === to) return at;
      const count = Math.min(need - this.#have, to - at);
      // Byte by byte: a view of these few would be garbage.
      for (let i = 0; i < count; i++) this.#partial[this.#have + i] = source.bytes[at + i]!;
      this.#have += count;
      at += count;
    }
    this.#have = 0;
    this.#read(this.#partialView, 0);
    return at;
  }

  /** Bytes of the header and its fixed part, as far as the first `have` of them tell. */
  #needOf(view: DataView, at: number, have: number): number {
    if (have < 4) return 4;
    const magic = view.getUint32(at);
    if (magic === SIMPLE_REPLY_MAGIC) return SIMPLE_REPLY_BYTES;
    if (magic !== CHUNK_MAGIC) return this.#break("a reply does not begin with its magic");
    if (!this.#structured) return this.#break("a structured reply, which was not agreed on");
    if (have < CHUNK_HEADER_BYTES) return CHUNK_HEADER_BYTES;
    const flags = view.getUint16(at + 4);
    const type = view.getUint16(at + 6);
    const fixed = this.#fixedBytesOf(type, view.getUint32(at + 16));
    if (type === CHUNK.none && (flags & CHUNK_FLAGS.done) === 0) {
      return this.#break("a chunk without content that does not end its reply");
    }
    return CHUNK_HEADER_BYTES + fixed;
  }

  /** Of a chunk whose payload has `length` bytes. */
  #fixedBytesOf(type: number, length: number): number {
    if ((type & CHUNK_ERROR_BIT) !== 0) {
      const isRight = length >= ERROR_FIXED_BYTES && length <= NBD_ERROR_CHUNK_BYTES_MAX;
      return isRight ? ERROR_FIXED_BYTES : this.#break(`an error chunk of ${length} bytes`);
    }
    switch (type) {
      case CHUNK.none:
        return length === 0 ? 0 : this.#break(`a chunk without content of ${length} bytes`);
      case CHUNK.offsetData:
        if (length <= CHUNK_OFFSET_BYTES) return this.#break(`a data chunk of ${length} bytes`);
        return CHUNK_OFFSET_BYTES;
      case CHUNK.offsetHole:
        if (length !== HOLE_FIXED_BYTES) return this.#break(`a hole chunk of ${length} bytes`);
        return HOLE_FIXED_BYTES;
      case CHUNK.blockStatus: {
        const count = (length - CONTEXT_FIXED_BYTES) / STATUS_DESCRIPTOR_BYTES;
        const isRight = Number.isInteger(count) && count >= 1 &&
          count <= NBD_STATUS_DESCRIPTORS_MAX;
        return isRight ? CONTEXT_FIXED_BYTES : this.#break(`a status chunk of ${length} bytes`);
      }
      default:
        return this.#break(`a chunk of the unknown type ${type}`);
    }
  }

  #break(reason: string): number {
    this.broken = reason;
    return 0;
  }

  #read(view: DataView, at: number): void {
    this.complete = true;
    if (view.getUint32(at) === SIMPLE_REPLY_MAGIC) {
      this.type = -1;
      this.isLast = true;
      this.dataBytes = 0;
      this.error = view.getUint32(at + 4);
      this.cookieHigh = view.getUint32(at + 8);
      this.cookieLow = view.getUint32(at + 12);
      return;
    }
    this.isLast = (view.getUint16(at + 4) & CHUNK_FLAGS.done) !== 0;
    this.type = view.getUint16(at + 6);
    this.cookieHigh = view.getUint32(at + 8);
    this.cookieLow = view.getUint32(at + 12);
    this.error = 0;
    this.#readPayload(view, at + CHUNK_HEADER_BYTES, view.getUint32(at + 16));
  }

  #readPayload(view: DataView, at: number, length: number): void {
    if ((this.type & CHUNK_ERROR_BIT) !== 0) return this.#readError(view, at, length);
    switch (this.type) {
      case CHUNK.offsetData:
        this.offset = readSafeU64(view, at);
        this.dataBytes = length - CHUNK_OFFSET_BYTES;
        return;
      case CHUNK.offsetHole:
        this.offset = readSafeU64(view, at);
        this.holeBytes = view.getUint32(at + CHUNK_OFFSET_BYTES);
        this.dataBytes = 0;
        if (this.holeBytes === 0) this.#break("a hole of no bytes");
        return;
      case CHUNK.blockStatus:
        this.contextId = view.getUint32(at);
        this.dataBytes = length - CONTEXT_FIXED_BYTES;
        return;
      default:
        this.dataBytes = 0;
    }
  }

  /** What follows the error and its message's length is for people, and thrown away. */
  #readError(view: DataView, at: number, length: number): void {
    const extra = this.type === CHUNK.errorOffset ? CHUNK_OFFSET_BYTES : 0;
    this.error = view.getUint32(at);
    this.dataBytes = length - ERROR_FIXED_BYTES;
    if (view.getUint16(at + 4) + extra > this.dataBytes) {
      this.#break("an error's message is longer than its chunk");
    } else if (this.error === 0) {
      this.#break("an error chunk without an error");
    }
    this.type = CHUNK.error;
  }
}
