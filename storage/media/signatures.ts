import { bytesEqual, utf8, viewOf } from "../../protocol/core/bytes.ts";
import { KIB, MIB } from "../../protocol/core/limits.ts";

/**
 * What other systems leave on a device, by the bytes they are known by. Offsets are those that the
 * formats' own documents (and blkid) give. Pure.
 */

/** Bytes read from a device, by position; null where nothing was read. */
export interface Probe {
  readonly sizeBytes: number;
  at(position: number, length: number): Uint8Array | null;
}

interface Signature {
  readonly name: string;
  /** Negative: counted from the end. */
  readonly positions: readonly number[];
  readonly magic: Uint8Array;
}

function text(name: string, magic: string, ...positions: number[]): Signature {
  return { name, positions, magic: utf8(magic) };
}

function raw(name: string, magic: readonly number[], ...positions: number[]): Signature {
  return { name, positions, magic: Uint8Array.from(magic) };
}

const BCACHE = [0xc6, 0x85, 0x73, 0xf6];
const SIGNATURES: readonly Signature[] = [
  text("another dvsan label", "DVSANLBL", 0),
  text("a GPT partition table", "EFI PART", 512, 4 * KIB, -512, -4 * KIB),
  text("an XFS file system", "XFSB", 0),
  text("a btrfs file system", "_BHRfS_M", 64 * KIB + 64, 64 * MIB + 64),
  text("a vfat file system", "FAT12   ", 0x36),
  text("a vfat file system", "FAT16   ", 0x36),
  text("a vfat file system", "FAT32   ", 0x52),
  text("an exFAT file system", "EXFAT   ", 3),
  text("an NTFS file system", "NTFS    ", 3),
  text("a ReFS file system", "ReFS", 3),
  ...[4, 8, 16, 64].flatMap((page) => [
    text("swap space", "SWAPSPACE2", page * KIB - 10),
    text("swap space", "SWAP-SPACE", page * KIB - 10),
  ]),
  text("an LVM2 physical volume", "LVM2 001", 24, 512 + 24, 1024 + 24, 1536 + 24),
  raw("a Linux md RAID member (1.1)", [0xfc, 0x4e, 0x2b, 0xa9], 0),
  raw("a Linux md RAID member (1.2)", [0xfc, 0x4e, 0x2b, 0xa9], 4 * KIB),
  raw("a LUKS encrypted volume", [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe], 0),
  raw("a LUKS encrypted volume", [0x53, 0x4b, 0x55, 0x4c, 0xba, 0xbe], 16 * KIB, 32 * KIB),
  raw("a bcache device", [...BCACHE, 0x4e, 0x1a, 0x45, 0xca], 4 * KIB + 24),
  raw("a bcachefs file system", [...BCACHE, 0x66, 0xce, 0x90, 0xa9], 4 * KIB + 24),
  text("an ISO 9660 file system", "CD001", 32 * KIB + 1, 34 * KIB + 1),
  ...[0, 1, 2, 3, 4].flatMap((n) => [
    text("a UDF file system", "NSR02", (32 + 2 * n) * KIB + 1),
    text("a UDF file system", "NSR03", (32 + 2 * n) * KIB + 1),
  ]),
  text("a squashfs file system", "hsqs", 0),
  text("a squashfs file system", "sqsh", 0),
  raw("an F2FS file system", [0x10, 0x20, 0xf5, 0xf2], 1024),
  raw("an EROFS file system", [0xe2, 0xe1, 0xf5, 0xe0], 1024),
  text("a JFS file system", "JFS1", 32 * KIB),
  text("a ReiserFS file system", "ReIsEr", 64 * KIB + 52, 8 * KIB + 52),
  raw("a GFS2 file system", [0x01, 0x16, 0x19, 0x70], 64 * KIB),
  text("an HFS+ file system", "H+", 1024),
  text("an HFS+ file system", "HX", 1024),
  text("an APFS container", "NXSB", 32),
  text("a Ceph BlueStore device", "bluestore block device", 0),
  text("an Oracle ASM disk", "ORCLDISK", 32),
  text("a VDO volume", "dmvdo001", 0),
  text("an Intel RAID member", "Intel Raid ISM Cfg Sig. ", -1024),
  raw("a DDF RAID member", [0xde, 0x11, 0xde, 0x11], -512),
  raw("a qcow2 disk image", [0x51, 0x46, 0x49, 0xfb], 0),
  text("a VMDK disk image", "KDMV", 0),
  text("a VHDX disk image", "vhdxfile", 0),
];

/** Everything that is recognised, in words, without repeats. */
export function findSignatures(probe: Probe): string[] {
  const found = new Set<string>();
  for (const { name, positions, magic } of SIGNATURES) {
    for (const position of positions) if (has(probe, position, magic)) found.add(name);
  }
  for (const name of [extOf(probe), mdAtEnd(probe), zfsOf(probe), mbrOf(probe)]) {
    if (name !== null) found.add(name);
  }
  // A file system's boot sector and a protective MBR look like a partition table of their own.
  for (const vague of [MBR, BOOT]) if (found.size > 1) found.delete(vague);
  return [...found];
}

function has(probe: Probe, position: number, magic: Uint8Array): boolean {
  const start = position < 0 ? probe.sizeBytes + position : position;
  const bytes = probe.at(start, magic.length);
  return bytes !== null && bytesEqual(bytes, magic);
}

const EXT_JOURNAL = 0x4;
/** Extents, 64-bit, flexible groups: what only ext4 has. */
const EXT4_FEATURES = 0x40 | 0x80 | 0x200;

function extOf(probe: Probe): string | null {
  const superblock = probe.at(1024, 1024);
  if (superblock === null) return null;
  const view = viewOf(superblock);
  if (view.getUint16(0x38, true) !== 0xef53) return null;
  if ((view.getUint32(0x60, true) & EXT4_FEATURES) !== 0) return "an ext4 file system";
  const journal = (view.getUint32(0x5c, true) & EXT_JOURNAL) !== 0;
  return journal ? "an ext3 file system" : "an ext2 file system";
}

const MD_LITTLE = Uint8Array.of(0xfc, 0x4e, 0x2b, 0xa9);
const MD_BIG = Uint8Array.of(0xa9, 0x2b, 0x4e, 0xfc);

function mdAtEnd(probe: Probe): string | null {
  // 0.90: the last 64 KiB that starts on a multiple of 64 KiB. 1.0: 8 to 12 KiB before the end.
  const old = Math.floor(probe.sizeBytes / (64 * KIB)) * 64 * KIB - 64 * KIB;
  if (has(probe, old, MD_LITTLE) || has(probe, old, MD_BIG)) {
    return "a Linux md RAID member (0.90)";
  }
  const sectors = Math.floor(probe.sizeBytes / 512);
  const start = Math.floor((sectors - 16) / 8) * 8 * 512;
  return has(probe, start, MD_LITTLE) ? "a Linux md RAID member (1.0)" : null;
}

const ZFS_LABEL_BYTES = 256 * KIB;
const ZFS_LITTLE = Uint8Array.of(0x0c, 0xb1, 0xba, 0, 0, 0, 0, 0);
const ZFS_BIG = Uint8Array.of(0, 0, 0, 0, 0, 0xba, 0xb1, 0x0c);

function zfsOf(probe: Probe): string | null {
  const end = Math.floor(probe.sizeBytes / ZFS_LABEL_BYTES) * ZFS_LABEL_BYTES;
  const labels = [0, ZFS_LABEL_BYTES, end - 2 * ZFS_LABEL_BYTES, end - ZFS_LABEL_BYTES];
  for (const label of labels) {
    // The second half of a label is the ring of uberblocks.
    for (let at = label + ZFS_LABEL_BYTES / 2; at < label + ZFS_LABEL_BYTES; at += KIB) {
      if (has(probe, at, ZFS_LITTLE) || has(probe, at, ZFS_BIG)) return "a ZFS pool member";
    }
  }
  return null;
}

const MBR = "an MBR partition table";
const BOOT = "a boot sector";

function mbrOf(probe: Probe): string | null {
  const sector = probe.at(0, 512);
  if (sector === null || sector[510] !== 0x55 || sector[511] !== 0xaa) return null;
  for (let entry = 446; entry < 510; entry += 16) {
    const active = sector[entry] === 0 || sector[entry] === 0x80;
    if (active && sector[entry + 4] !== 0) return MBR;
  }
  return BOOT;
}
