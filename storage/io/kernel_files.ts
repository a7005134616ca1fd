import { DvsanError } from "../../protocol/core/errors.ts";
import * as abi from "./abi.ts";
import { Errno, errnoName } from "./errno.ts";
import type { MediumGeometry, MediumOpenOptions } from "./io.ts";
import { mediumIncarnation } from "./kernel_identity.ts";
import { cString, type Libc } from "./libc.ts";

const LOGICAL_BLOCK_BYTES = 512;
const PHYSICAL_BLOCK_BYTES = 4096;

/** An open medium's descriptor, or a negated errno. */
export type OpenMedium = {
  readonly fileDescriptor: number;
  readonly kind: "file" | "block" | "memory";
};

export interface FileOpenOptions extends MediumOpenOptions {
  /** Block devices bypass the page cache unless `direct` says otherwise. */
  readonly directDevices: boolean;
}

/**
 * Opens a regular file or block device, or answers a negated errno: -EISDIR, -ENOTBLK for other
 * things, -EBUSY when exclusive use was asked for and somebody has it.
 */
export function openMediumFile(libc: Libc, options: FileOpenOptions): OpenMedium | number {
  const path = cString(options.path);
  if (path === null) return -Errno.EINVAL;
  const status = new Uint8Array(abi.STATX_BYTES);
  // The kind is looked at first: opening a pipe or a tape drive would already do something to it.
  const found = libc.call.statx(abi.AT_FDCWD, path, 0, abi.STATX_BASIC_AND_DIO, status);
  if (found < 0) return libc.error();
  const kind = kindOf(status);
  if (typeof kind === "number") return kind;
  let flags = abi.O_CLOEXEC | (options.readOnly ? abi.O_RDONLY : abi.O_RDWR);
  if (options.direct ?? (options.directDevices && kind === "block")) {
    flags |= abi.directFlag(Deno.build.arch);
  }
  if (options.exclusive && kind === "block") flags |= abi.O_EXCL;
  const fileDescriptor = libc.call.open(path, flags);
  if (fileDescriptor < 0) return libc.error();
  if (options.exclusive && kind === "file") {
    if (libc.call.flock(fileDescriptor, abi.LOCK_EX_NONBLOCKING) < 0) {
      const error = libc.error();
      libc.call.close(fileDescriptor);
      return error === -Errno.EAGAIN ? -Errno.EBUSY : error;
    }
  }
  const inMemory = kind === "file" && isInMemory(libc, fileDescriptor);
  return { fileDescriptor, kind: inMemory ? "memory" : kind };
}

/**
 * Gives the lock of a file up that is to be closed, since it belongs to the opening and not to the
 * descriptor: a process that another thread has just started holds copies of all descriptors until
 * it runs its program, and would keep the lock for as long.
 */
export function unlockMedium(libc: Libc, fileDescriptor: number): void {
  libc.call.flock(fileDescriptor, abi.LOCK_UN);
}

/** Whether a file's bytes are in memory and nowhere else, so that no transfer waits for a disk. */
function isInMemory(libc: Libc, fileDescriptor: number): boolean {
  const status = new Uint8Array(abi.STATFS_BYTES);
  if (libc.call.fstatfs(fileDescriptor, status) < 0) return false;
  return new DataView(status.buffer).getUint32(0, true) === abi.TMPFS_MAGIC;
}

function kindOf(status: Uint8Array<ArrayBuffer>): "file" | "block" | number {
  const mode = new DataView(status.buffer).getUint16(abi.STATX_MODE_AT, true);
  switch (mode & abi.S_IFMT) {
    case abi.S_IFREG:
      return "file";
    case abi.S_IFBLK:
      return "block";
    case abi.S_IFDIR:
      return -Errno.EISDIR;
    default:
      return -Errno.ENOTBLK;
  }
}

/** What the kernel says about an open medium; throws DvsanError "io" when it does not say. */
export function mediumGeometry(libc: Libc, fileDescriptor: number): MediumGeometry {
  const incarnation = mediumIncarnation(libc, fileDescriptor);
  return { ...geometryOf(libc, fileDescriptor), incarnation };
}

function geometryOf(libc: Libc, fileDescriptor: number): MediumGeometry {
  const status = new Uint8Array(abi.STATX_BYTES);
  const view = new DataView(status.buffer);
  const path = new Uint8Array(1);
  const mask = abi.STATX_BASIC_AND_DIO;
  if (libc.call.statx(fileDescriptor, path, abi.AT_EMPTY_PATH, mask, status) < 0) {
    throw geometryError(libc.error());
  }
  if (kindOf(status) === "block") return blockGeometry(libc, fileDescriptor);
  const knowsAlignment = (view.getUint32(abi.STATX_MASK_AT, true) & abi.STATX_DIOALIGN) !== 0;
  const alignment = knowsAlignment ? view.getUint32(abi.STATX_DIO_OFFSET_ALIGN_AT, true) : 0;
  return {
    kind: "file",
    sizeBytes: Number(view.getBigUint64(abi.STATX_SIZE_AT, true)),
    logicalBlockBytes: Math.max(LOGICAL_BLOCK_BYTES, alignment),
    physicalBlockBytes: Math.max(PHYSICAL_BLOCK_BYTES, alignment),
  };
}

function blockGeometry(libc: Libc, fileDescriptor: number): MediumGeometry {
  const out = new Uint8Array(8);
  const view = new DataView(out.buffer);
  const ask = (request: bigint) => {
    out.fill(0);
    if (libc.call.ioctl(fileDescriptor, request, out) < 0) throw geometryError(libc.error());
  };
  ask(abi.BLKGETSIZE64);
  const sizeBytes = Number(view.getBigUint64(0, true));
  ask(abi.BLKSSZGET);
  const logicalBlockBytes = view.getInt32(0, true);
  ask(abi.BLKPBSZGET);
  return {
    kind: "block",
    sizeBytes,
    logicalBlockBytes,
    physicalBlockBytes: view.getInt32(0, true),
  };
}

function geometryError(errno: number): DvsanError {
  return new DvsanError(
    "io",
    `Cannot ask a medium for its size: ${errnoName(errno)}. Check the device.`,
  );
}
