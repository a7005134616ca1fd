import { fromUtf8 } from "../../protocol/core/bytes.ts";
import * as abi from "./abi.ts";
import { cString, type Libc } from "./libc.ts";

/** More than any of the files read here holds. */
const TEXT_BYTES_MAX = 4096;
/** Where Linux tells a block device's own name, the most telling first. */
const NAMES: readonly (readonly [what: string, file: string])[] = [
  ["wwid", "wwid"],
  ["wwid", "device/wwid"],
  ["serial", "serial"],
  ["serial", "device/serial"],
  ["cid", "device/cid"],
  ["dm", "dm/uuid"],
  ["md", "md/uuid"],
];

/**
 * What tells an open file or block device from a copy of it, whatever it is named, or null.
 *
 * - A block device: its WWN, serial number or UUID, as the kernel knows them (/sys/dev/block); a
 *   partition: its disk's and where it starts; a loop device: that of the file behind it.
 * - A file: its inode and the time of its birth, which nobody can set. File systems that number
 *   their files anew at every mount (FAT) tell the birth alone; those without a birth nothing.
 */
export function mediumIdentity(libc: Libc, fileDescriptor: number): string | null {
  const view = statusOf(libc, fileDescriptor);
  if (view === null) return null;
  if ((view.getUint16(abi.STATX_MODE_AT, true) & abi.S_IFMT) !== abi.S_IFBLK) {
    return fileIdentity(view, hasLastingInodes(libc, fileDescriptor));
  }
  const major = view.getUint32(abi.STATX_RDEV_MAJOR_AT, true);
  const minor = view.getUint32(abi.STATX_RDEV_MINOR_AT, true);
  const folder = `/sys/dev/block/${major}:${minor}`;
  if (textOf(libc, `${folder}/partition`) === null) return deviceIdentity(libc, folder);
  const disk = deviceIdentity(libc, `${folder}/..`);
  const start = textOf(libc, `${folder}/start`);
  return disk === null || start === null ? null : `sector ${start} of ${disk}`;
}

/**
 * The number that the kernel has given to a block device this time, or to the one that a file's
 * file system is on: one that was out and is back has another, and what was in memory for it then
 * is gone. Null where Linux tells none: before 5.15, and of file systems on no block device or on
 * several.
 */
export function mediumIncarnation(libc: Libc, fileDescriptor: number): string | null {
  const view = statusOf(libc, fileDescriptor);
  if (view === null) return null;
  const isDevice = (view.getUint16(abi.STATX_MODE_AT, true) & abi.S_IFMT) === abi.S_IFBLK;
  const majorAt = isDevice ? abi.STATX_RDEV_MAJOR_AT : abi.STATX_DEV_MAJOR_AT;
  const minorAt = isDevice ? abi.STATX_RDEV_MINOR_AT : abi.STATX_DEV_MINOR_AT;
  const folder = `/sys/dev/block/${view.getUint32(majorAt, true)}:${view.getUint32(minorAt, true)}`;
  return textOf(libc, `${folder}/diskseq`) ?? textOf(libc, `${folder}/../diskseq`);
}

function statusOf(libc: Libc, fileDescriptor: number): DataView | null {
  const status = new Uint8Array(abi.STATX_BYTES);
  const mask = abi.STATX_BASIC_AND_BIRTH;
  const path = new Uint8Array(1);
  const result = libc.call.statx(fileDescriptor, path, abi.AT_EMPTY_PATH, mask, status);
  return result < 0 ? null : new DataView(status.buffer);
}

function deviceIdentity(libc: Libc, folder: string): string | null {
  for (const [what, file] of NAMES) {
    const text = textOf(libc, `${folder}/${file}`);
    if (text !== null) return `${what} ${text}`;
  }
  const behind = textOf(libc, `${folder}/loop/backing_file`);
  return behind === null ? null : identityOfPath(libc, behind);
}

function identityOfPath(libc: Libc, path: string): string | null {
  const status = new Uint8Array(abi.STATX_BYTES);
  const name = cString(path);
  const mask = abi.STATX_BASIC_AND_BIRTH;
  if (name === null || libc.call.statx(abi.AT_FDCWD, name, 0, mask, status) < 0) return null;
  return fileIdentity(new DataView(status.buffer), true);
}

function fileIdentity(status: DataView, hasInode: boolean): string | null {
  if ((status.getUint32(abi.STATX_MASK_AT, true) & abi.STATX_BTIME) === 0) return null;
  const seconds = status.getBigInt64(abi.STATX_BTIME_SECONDS_AT, true);
  const nanoseconds = status.getUint32(abi.STATX_BTIME_NANOSECONDS_AT, true);
  const born = `born ${seconds}.${nanoseconds.toString().padStart(9, "0")}`;
  return hasInode ? `inode ${status.getBigUint64(abi.STATX_INO_AT, true)} ${born}` : born;
}

function hasLastingInodes(libc: Libc, fileDescriptor: number): boolean {
  const status = new Uint8Array(abi.STATFS_BYTES);
  if (libc.call.fstatfs(fileDescriptor, status) < 0) return false;
  const type = new DataView(status.buffer).getUint32(0, true);
  return type !== abi.MSDOS_SUPER_MAGIC && type !== abi.EXFAT_SUPER_MAGIC;
}

/** A short file's text without the space around it; null when there is none or it is empty. */
function textOf(libc: Libc, path: string): string | null {
  const name = cString(path);
  if (name === null) return null;
  const fileDescriptor = libc.call.open(name, abi.O_CLOEXEC | abi.O_RDONLY);
  if (fileDescriptor < 0) return null;
  const bytes = new Uint8Array(TEXT_BYTES_MAX);
  const count = Number(libc.call.read(fileDescriptor, bytes, BigInt(TEXT_BYTES_MAX)));
  libc.call.close(fileDescriptor);
  if (count <= 0) return null;
  const text = fromUtf8(bytes.subarray(0, count))?.replaceAll("\0", "").trim() ?? "";
  return text === "" ? null : text;
}
