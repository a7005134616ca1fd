/**
 * Numbers of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md). Big-endian on the wire.
 * Those that dvsan does not speak yet stand here too, so that a reader finds all in one place.
 */

/** "NBDMAGIC" and "IHAVEOPT", as two 32-bit halves each. */
export const GREETING_MAGIC = [0x4e42444d, 0x41474943] as const;
export const OPTION_MAGIC = [0x49484156, 0x454f5054] as const;
/** Second magic of the oldstyle negotiation, which is refused by name. */
export const OLDSTYLE_MAGIC = [0x00004202, 0x81861253] as const;
export const OPTION_REPLY_MAGIC = [0x0003e889, 0x045565a9] as const;
export const REQUEST_MAGIC = 0x25609513;
export const SIMPLE_REPLY_MAGIC = 0x67446698;
export const CHUNK_MAGIC = 0x668e33ef;

export const GREETING_BYTES = 18;
export const CLIENT_FLAGS_BYTES = 4;
export const OPTION_HEADER_BYTES = 16;
export const OPTION_REPLY_HEADER_BYTES = 20;
export const REQUEST_HEADER_BYTES = 28;
export const SIMPLE_REPLY_BYTES = 16;
/** Header of a structured reply's chunk. */
export const CHUNK_HEADER_BYTES = 20;
/** Offset in the payloads of data and hole chunks. */
export const CHUNK_OFFSET_BYTES = 8;
/** Length and flags of one run in a status chunk. */
export const STATUS_DESCRIPTOR_BYTES = 8;
/** Zeroes after EXPORT_NAME's answer when NO_ZEROES was not agreed on. */
export const EXPORT_NAME_PADDING_BYTES = 124;

export const HANDSHAKE_FLAGS = { fixedNewstyle: 1, noZeroes: 2 } as const;

export const OPTION = {
  exportName: 1,
  abort: 2,
  list: 3,
  peekExport: 4,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
  extendedHeaders: 11,
} as const;

export const REPLY = { ack: 1, server: 2, info: 3, metaContext: 4 } as const;

/** Set in the type of every error reply. */
export const REPLY_ERROR_BIT = 0x80000000;
export const REPLY_ERROR = {
  unsupported: 0x80000001,
  policy: 0x80000002,
  invalid: 0x80000003,
  platform: 0x80000004,
  tlsRequired: 0x80000005,
  unknown: 0x80000006,
  shutdown: 0x80000007,
  blockSizeRequired: 0x80000008,
  tooBig: 0x80000009,
  extendedHeadersRequired: 0x8000000a,
} as const;

export const INFO = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

export const TRANSMISSION_FLAGS = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  rotational: 1 << 4,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendResize: 1 << 9,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
  blockStatusPayload: 1 << 12,
} as const;

export const COMMAND = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
  resize: 8,
} as const;

export const COMMAND_FLAGS = {
  fua: 1 << 0,
  noHole: 1 << 1,
  df: 1 << 2,
  reqOne: 1 << 3,
  fastZero: 1 << 4,
  payloadLength: 1 << 5,
} as const;

/** Flags of a structured reply's chunk. */
export const CHUNK_FLAGS = { done: 1 << 0 } as const;

/** Types of a structured reply's chunks. */
export const CHUNK = {
  none: 0,
  offsetData: 1,
  offsetHole: 2,
  blockStatus: 5,
  error: 0x8001,
  errorOffset: 0x8002,
} as const;
/** Set in the type of every chunk that tells an error, also of those that nobody defined yet. */
export const CHUNK_ERROR_BIT = 0x8000;

/** Flags of `base:allocation`. */
export const STATE = { hole: 1 << 0, zero: 1 << 1 } as const;

/** The only errors that may appear in a reply. They are Linux errno values. */
export const WIRE_ERROR = {
  perm: 1,
  io: 5,
  noMemory: 12,
  invalid: 22,
  noSpace: 28,
  overflow: 75,
  notSupported: 95,
  shutdown: 108,
} as const;

/** The wire error for a Linux errno (positive). What the protocol cannot say is EIO. */
export function wireErrorOf(errno: number): number {
  switch (errno) {
    case 0:
    case WIRE_ERROR.perm:
    case WIRE_ERROR.io:
    case WIRE_ERROR.noMemory:
    case WIRE_ERROR.invalid:
    case WIRE_ERROR.noSpace:
    case WIRE_ERROR.overflow:
    case WIRE_ERROR.notSupported:
    case WIRE_ERROR.shutdown:
      return errno;
    case 13: // EACCES
    case 30: // EROFS
      return WIRE_ERROR.perm;
    case 27: // EFBIG
    case 122: // EDQUOT
      return WIRE_ERROR.noSpace;
    default:
      return WIRE_ERROR.io;
  }
}
