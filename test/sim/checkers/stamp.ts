import { BLOCK_BYTES } from "../types.ts";

/** Who wrote a block, where, and with which of the disk's writes. */
export interface Stamp {
  readonly diskId: string;
  readonly block: number;
  /** Rising by disk. */
  readonly version: number;
}

/** What a sector of a block holds: nothing, a stamp (its disk as a hash), or something else. */
export type Found =
  | { readonly kind: "zero" }
  | {
    readonly kind: "stamp";
    readonly diskHash: number;
    readonly block: number;
    readonly version: number;
  }
  | { readonly kind: "other"; readonly text: string };

/** A block may be torn between these. */
export const SECTOR_BYTES = 512;
export const SECTORS = BLOCK_BYTES / SECTOR_BYTES;
export const STAMP_HEADER_BYTES = 32;
const MAGIC = 0x5354_4d50;
/** The bytes that every stamp begins with. */
export const STAMP_MAGIC: readonly number[] = [0x53, 0x54, 0x4d, 0x50];

/** Fills one block; each of its sectors tells by itself who wrote it. */
export function writeStamp(into: Uint8Array, stamp: Stamp): void {
  const view = new DataView(into.buffer, into.byteOffset, into.length);
  const hash = diskHashOf(stamp.diskId);
  for (let sector = 0; sector < SECTORS; sector++) {
    const at = sector * SECTOR_BYTES;
    view.setUint32(at, MAGIC);
    view.setUint32(at + 4, hash);
    view.setFloat64(at + 8, stamp.block);
    view.setFloat64(at + 16, stamp.version);
    view.setUint32(at + 24, sector);
    view.setUint32(at + 28, checksum(view, at));
    into.fill(fillOf(stamp.version, sector), at + STAMP_HEADER_BYTES, at + SECTOR_BYTES);
  }
}

/** What one sector of a block holds; `sector` is its place in the block. */
export function readSector(block: Uint8Array, sector: number): Found {
  const at = sector * SECTOR_BYTES;
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  if (view.getUint32(at) !== MAGIC) {
    const bytes = block.subarray(at, at + SECTOR_BYTES);
    const first = bytes.findIndex((byte) => byte !== 0);
    if (first < 0) return { kind: "zero" };
    return { kind: "other", text: `byte ${at + first} is ${bytes[first]}, and there is no stamp` };
  }
  if (view.getUint32(at + 28) !== checksum(view, at)) {
    return { kind: "other", text: `the stamp at byte ${at} is damaged` };
  }
  const version = view.getFloat64(at + 16);
  const fill = fillOf(version, sector);
  for (let i = at + STAMP_HEADER_BYTES; i < at + SECTOR_BYTES; i++) {
    if (block[i] !== fill) return { kind: "other", text: `byte ${i} is not as it was written` };
  }
  if (view.getUint32(at + 24) !== sector) {
    return { kind: "other", text: `sector ${sector} holds what was written as another one` };
  }
  return {
    kind: "stamp",
    diskHash: view.getUint32(at + 4),
    block: view.getFloat64(at + 8),
    version,
  };
}

/** The stamped blocks among the bytes that were written at a position of a medium. */
export function* stampsIn(
  bytes: Uint8Array,
  position: number,
): Generator<Extract<Found, { readonly kind: "stamp" }> & { readonly at: number }> {
  // Volumes begin on such a multiple, and consumers write whole blocks.
  const first = (BLOCK_BYTES - position % BLOCK_BYTES) % BLOCK_BYTES;
  for (let at = first; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) {
    const found = readSector(bytes.subarray(at, at + BLOCK_BYTES), 0);
    if (found.kind === "stamp") yield { ...found, at };
  }
}

/** A stamp found among other bytes, or null when it only looks like one. */
export function readHeader(
  header: Uint8Array,
): { diskHash: number; block: number; version: number; sector: number } | null {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  if (view.getUint32(0) !== MAGIC || view.getUint32(28) !== checksum(view, 0)) return null;
  return {
    diskHash: view.getUint32(4),
    block: view.getFloat64(8),
    version: view.getFloat64(16),
    sector: view.getUint32(24),
  };
}

/** Thirty-two bits of a disk's id (FNV-1a). */
export function diskHashOf(diskId: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < diskId.length; i++) {
    hash = Math.imul(hash ^ diskId.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

function checksum(view: DataView, at: number): number {
  let sum = 0x9e37;
  for (let i = 0; i < 28; i += 4) sum = Math.imul(sum ^ view.getUint32(at + i), 0x85ebca6b) + i;
  return sum >>> 0;
}

function fillOf(version: number, sector: number): number {
  return 1 + (version * 31 + sector * 7) % 255;
}
