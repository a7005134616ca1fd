import { writeSafeU64 } from "../core/bytes.ts";
import { INFO, TRANSMISSION_FLAGS } from "./constants.ts";

/** What a client learns of an export before transmission. */
export interface ExportInfo {
  /** In bytes; a safe integer. */
  readonly sizeBytes: number;
  /** TRANSMISSION_FLAGS. */
  readonly flags: number;
  readonly minimumBlockBytes: number;
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
 * Transmission flags for an export. FLUSH and FUA are always there: a device whose writes are
 * durable at once serves them without work, and a client that cannot flush cannot be safe.
 */
export function transmissionFlagsOf(traits: ExportTraits): number {
  const flag = TRANSMISSION_FLAGS;
  let flags = flag.hasFlags | flag.sendFlush | flag.sendFua;
  if (traits.flushCoversAll) flags |= flag.canMultiConn;
  if (traits.readOnly) return flags | flag.readOnly;
  if (traits.canDiscard) flags |= flag.sendTrim;
  if (traits.canZero) flags |= flag.sendWriteZeroes;
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
  view.setUint32(2, info.minimumBlockBytes);
  view.setUint32(6, info.preferredBlockBytes);
  view.setUint32(10, info.maximumPayloadBytes);
  return payload;
}
