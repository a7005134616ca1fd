import { writeSafeU64 } from "../core/bytes.ts";
import {
  CHUNK,
  CHUNK_FLAGS,
  CHUNK_HEADER_BYTES,
  CHUNK_MAGIC,
  CHUNK_OFFSET_BYTES,
  WIRE_ERROR,
} from "./constants.ts";

/**
 * Chunks of structured replies as the server writes them. Each is the only one of its reply, so
 * each is its last: nothing is said before the outcome is known. Nothing here allocates.
 */

/** Whose reply a chunk belongs to. */
export interface Cookie {
  readonly cookieHigh: number;
  readonly cookieLow: number;
}

/** Before the data of a data chunk: header and offset. */
export const DATA_CHUNK_BYTES = CHUNK_HEADER_BYTES + CHUNK_OFFSET_BYTES;
/** Before the descriptors of a status chunk: header and context id. */
export const STATUS_CHUNK_BYTES = CHUNK_HEADER_BYTES + 4;
/** The longest error chunk, with its offset and text. */
export const ERROR_CHUNK_BYTES_MAX = 80;
const ERROR_FIXED_BYTES = 6;

/** Ends a reply without content; 20 bytes. */
export function writeNoneChunk(view: DataView, at: number, to: Cookie): number {
  return writeHeader(view, at, to, { type: CHUNK.none, length: 0 });
}

/** What stands before `length` bytes of data from `position` on; 28 bytes. */
export function writeDataChunk(
  view: DataView,
  at: number,
  to: Cookie & { readonly position: number; readonly length: number },
): number {
  const length = CHUNK_OFFSET_BYTES + to.length;
  const end = writeHeader(view, at, to, { type: CHUNK.offsetData, length });
  writeSafeU64(view, end, to.position);
  return end + CHUNK_OFFSET_BYTES;
}

/** `length` zeroes from `position` on; 32 bytes. */
export function writeHoleChunk(
  view: DataView,
  at: number,
  to: Cookie & { readonly position: number; readonly length: number },
): number {
  const length = CHUNK_OFFSET_BYTES + 4;
  const end = writeHeader(view, at, to, { type: CHUNK.offsetHole, length });
  writeSafeU64(view, end, to.position);
  view.setUint32(end + CHUNK_OFFSET_BYTES, to.length);
  return end + length;
}

/** What stands before `count` descriptors of 8 bytes; 24 bytes. */
export function writeStatusChunk(
  view: DataView,
  at: number,
  to: Cookie & { readonly contextId: number; readonly count: number },
): number {
  const length = 4 + 8 * to.count;
  const end = writeHeader(view, at, to, { type: CHUNK.blockStatus, length });
  view.setUint32(end, to.contextId);
  return end + 4;
}

/**
 * An error with a text for people, at most ERROR_CHUNK_BYTES_MAX bytes. `offset` is where in the
 * export the request went wrong, within its bounds, or -1.
 */
export function writeErrorChunk(
  memory: { readonly bytes: Uint8Array; readonly view: DataView },
  at: number,
  to: Cookie & { readonly error: number; readonly offset: number },
): number {
  const { view } = memory;
  const text = ERROR_TEXTS.get(to.error) ?? NO_TEXT;
  const hasOffset = to.offset >= 0;
  const type = hasOffset ? CHUNK.errorOffset : CHUNK.error;
  const length = ERROR_FIXED_BYTES + text.length + (hasOffset ? CHUNK_OFFSET_BYTES : 0);
  let end = writeHeader(view, at, to, { type, length });
  view.setUint32(end, to.error);
  view.setUint16(end + 4, text.length);
  memory.bytes.set(text, end + ERROR_FIXED_BYTES);
  end += ERROR_FIXED_BYTES + text.length;
  if (!hasOffset) return end;
  writeSafeU64(view, end, to.offset);
  return end + CHUNK_OFFSET_BYTES;
}

function writeHeader(
  view: DataView,
  at: number,
  to: Cookie,
  chunk: { readonly type: number; readonly length: number },
): number {
  view.setUint32(at, CHUNK_MAGIC);
  view.setUint16(at + 4, CHUNK_FLAGS.done);
  view.setUint16(at + 6, chunk.type);
  view.setUint32(at + 8, to.cookieHigh);
  view.setUint32(at + 12, to.cookieLow);
  view.setUint32(at + 16, chunk.length);
  return at + CHUNK_HEADER_BYTES;
}

const NO_TEXT = new Uint8Array(0);

/** ASCII, so that bytes are characters. */
const ERROR_TEXTS: ReadonlyMap<number, Uint8Array> = new Map(
  ([
    [WIRE_ERROR.perm, "the export is read-only"],
    [WIRE_ERROR.io, "the medium failed, or cannot be reached"],
    [WIRE_ERROR.noMemory, "too much is under way"],
    [WIRE_ERROR.invalid, "the request does not fit the export"],
    [WIRE_ERROR.noSpace, "no space for it"],
    [WIRE_ERROR.notSupported, "zeroing would be as slow as writing"],
    [WIRE_ERROR.shutdown, "the export is shutting down"],
  ] as const).map(([error, text]) => [error, new TextEncoder().encode(text)]),
);
