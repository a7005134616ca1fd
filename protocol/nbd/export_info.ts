import { writeSafeU64 } from "../core/bytes.ts";
import { INFO, TRANSMISSION_FLAGS } from "./constants.ts";

/** What a client learns of an export before transmission. */
export interface ExportInfo {
  /** In bytes; a safe integer. */
  readonly sizeBytes: number;
  /** TRANSMISSION_FLAGS. */
  readonly flags: number;
  /** What is not aligned to it is refused. */
  readonly minimumBlockBytes: number;
  /** What clients are told as the minimum, when that is not what is refused. */
  readonly offeredBlockBytes?: number;
  readonly preferredBlockBytes: number;
  readonly maximumPayloadBytes: number;
}

/** What an export can do, in words; storage/devices has the same shape. */
export interface ExportTraits {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canDiscard: boolean;
  readonly canZero: boolean;
  readonly flushCoversAll: boolean;
}

/**
 * Transmission flags for an export; DF is the negotiation's to add, since it goes with structured
 * replies. FLUSH and FUA are always there: a device whose writes are durable at once serves them
 * without work, and a client that cannot flush cannot be safe.
 *
 * MULTI_CONN promises that a FLUSH on one connection covers what was answered on every other, and
 * that every connection reads what any of them was told is written. It is true where one data
 * worker owns the volume (data-path.md §1): all connections submit to one device, which syncs by
 * medium and caches nothing. It holds for a disk of several legs too: its consumers share the legs,
 * a flush goes to each leg that has unflushed writes of anybody, and a leg orders changes and reads
 * before any of them leaves the host.
 */
export function transmissionFlagsOf(traits: ExportTraits): number {
  const flag = TRANSMISSION_FLAGS;
  let flags = flag.hasFlags | flag.sendFlush | flag.sendFua | flag.sendCache;
  if (traits.flushCoversAll) flags |= flag.canMultiConn;
  if (traits.readOnly) return flags | flag.readOnly;
  if (traits.canDiscard) flags |= flag.sendTrim;
  // FAST_ZERO may be promised everywhere: to say quickly that zeroing would be slow is enough.
  if (traits.canZero) flags |= flag.sendWriteZeroes | flag.sendFastZero;
  return flags;
}

/** Payload of REPLY.info with INFO.export. */
export function encodeExportInfo(info: ExportInfo): Uint8Array {
  const payload = new Uint8Array(12);
  const view = new DataView(payload.buffer);
  view.setUint16(0, INFO.export);
  writeSafeU64(view, 2, info.sizeBytes);
  view.setUint16(10, info.flags);
  return payload;
}

/** Payload of REPLY.info with INFO.blockSize. */
export function encodeBlockSizeInfo(info: ExportInfo): Uint8Array {
  const payload = new Uint8Array(14);
  const view = new DataView(payload.buffer);
  view.setUint16(0, INFO.blockSize);
  view.setUint32(2, info.offeredBlockBytes ?? info.minimumBlockBytes);
  view.setUint32(6, info.preferredBlockBytes);
  view.setUint32(10, info.maximumPayloadBytes);
  return payload;
}
