import { READ_HEADROOM_BYTES } from "../../protocol/core/limits.ts";
import {
  DATA_CHUNK_BYTES,
  STATUS_CHUNK_BYTES,
  writeDataChunk,
  writeErrorChunk,
  writeHoleChunk,
  writeNoneChunk,
  writeStatusChunk,
} from "../../protocol/nbd/chunks.ts";
import {
  COMMAND,
  SIMPLE_REPLY_BYTES,
  STATUS_DESCRIPTOR_BYTES,
  WIRE_ERROR,
} from "../../protocol/nbd/constants.ts";
import type { ExportInfo } from "../../protocol/nbd/export_info.ts";
import { BASE_ALLOCATION_ID } from "../../protocol/nbd/meta_contexts.ts";
import { type Agreed, writeSimpleReply } from "../../protocol/nbd/request.ts";
import type { Io, Off } from "../io/io.ts";
import type { ServerRequest } from "./server_request.ts";

/** Data of these lengths is looked through for zeroes: shorter is not worth it, longer too long. */
const HOLE_BYTES_MIN = 4096;
const HOLE_BYTES_MAX = 1024 * 1024;

/**
 * Writes replies where they leave from, as one segment each: the header stands directly before the
 * data. Structured replies are one chunk, which is also the last: DF is kept by itself, nothing is
 * said before the outcome is known, and a READ costs one header of 28 bytes in place of 16. What
 * carries nothing and has no error is a simple reply in both cases, since it is shorter.
 */
export class ReplyForm {
  readonly #io: Io;
  readonly #words: Int32Array;
  readonly #structured: boolean;
  readonly #sizeBytes: number;
  readonly #data = { cookieHigh: 0, cookieLow: 0, position: 0, length: 0 };
  readonly #status = { cookieHigh: 0, cookieLow: 0, contextId: BASE_ALLOCATION_ID, count: 0 };
  readonly #error = { cookieHigh: 0, cookieLow: 0, error: 0, offset: 0 };

  constructor(io: Io, options: { readonly agreed: Agreed; readonly info: ExportInfo }) {
    this.#io = io;
    const { buffer, byteOffset, byteLength } = io.bytes;
    this.#words = new Int32Array(buffer, byteOffset, byteLength >> 2);
    this.#structured = options.agreed.structuredReplies;
    this.#sizeBytes = options.info.sizeBytes;
  }

  /** Sets `replyAt` and `replyBytes` of a request whose outcome is known. */
  write(request: ServerRequest): void {
    if (request.error === 0) {
      if (request.command === COMMAND.read) return this.#writeRead(request);
      if (request.command === COMMAND.blockStatus) return this.#writeStatus(request);
    } else if (this.#structured) {
      return this.#writeError(request);
    }
    this.#writeSimple(request, request.replyOff, 0);
  }

  #writeRead(request: ServerRequest): void {
    const { off, length } = request;
    const data = off + READ_HEADROOM_BYTES;
    if (!this.#structured) {
      if (length === 0) return this.#writeSimple(request, request.replyOff, 0);
      return this.#writeSimple(request, data - SIMPLE_REPLY_BYTES, length);
    }
    const { view } = this.#io;
    if (length === 0) {
      const end = writeNoneChunk(view, request.chunkOff, request);
      return place(request, request.chunkOff, end);
    }
    const fields = this.#data;
    fields.cookieHigh = request.cookieHigh;
    fields.cookieLow = request.cookieLow;
    fields.position = request.position;
    fields.length = length;
    if (this.#isZero(data, length)) return place(request, off, writeHoleChunk(view, off, fields));
    writeDataChunk(view, data - DATA_CHUNK_BYTES, fields);
    place(request, data - DATA_CHUNK_BYTES, data + length);
  }

  #writeStatus(request: ServerRequest): void {
    const descriptors = request.off + READ_HEADROOM_BYTES;
    const count = request.operation.result;
    const fields = this.#status;
    fields.cookieHigh = request.cookieHigh;
    fields.cookieLow = request.cookieLow;
    fields.count = count;
    const at = descriptors - STATUS_CHUNK_BYTES;
    writeStatusChunk(this.#io.view, at, fields);
    place(request, at, descriptors + STATUS_DESCRIPTOR_BYTES * count);
  }

  #writeError(request: ServerRequest): void {
    const fields = this.#error;
    fields.cookieHigh = request.cookieHigh;
    fields.cookieLow = request.cookieLow;
    fields.error = request.error;
    fields.offset = this.#offsetOfError(request);
    place(request, request.chunkOff, writeErrorChunk(this.#io, request.chunkOff, fields));
  }

  /** Where a READ runs off the export's end, if it begins inside; -1 for all that is not so. */
  #offsetOfError({ command, error, position, length }: ServerRequest): number {
    const runsOff = position >= 0 && position < this.#sizeBytes &&
      position + length > this.#sizeBytes;
    return runsOff && command === COMMAND.read && error === WIRE_ERROR.invalid
      ? this.#sizeBytes
      : -1;
  }

  #writeSimple(request: ServerRequest, at: Off, dataBytes: number): void {
    const end = writeSimpleReply(this.#io.view, at, request);
    place(request, at, end + dataBytes);
  }

  /** Nothing but zeroes: a hole chunk says it in 32 bytes. Data shows itself at the first look. */
  #isZero(off: Off, length: number): boolean {
    if (length < HOLE_BYTES_MIN || length > HOLE_BYTES_MAX || (length & 31) !== 0) return false;
    if (this.#io.isAside(off)) return false;
    const words = this.#words;
    const first = off >> 2;
    const end = first + (length >> 2);
    if ((words[first]! | words[end - 1]! | words[(first + end) >> 1]!) !== 0) return false;
    for (let i = first; i < end; i += 8) {
      const left = words[i]! | words[i + 1]! | words[i + 2]! | words[i + 3]!;
      const right = words[i + 4]! | words[i + 5]! | words[i + 6]! | words[i + 7]!;
      if ((left | right) !== 0) return false;
    }
    return true;
  }
}

function place(request: ServerRequest, at: Off, end: Off): void {
  request.replyAt = at;
  request.replyBytes = end - at;
}
