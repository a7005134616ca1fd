import { assert } from "../../protocol/core/assert.ts";
import { roundUp } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { MEDIUM_BUSY_RETRY_MS } from "../../protocol/core/limits.ts";
import { Errno, errnoName } from "../io/errno.ts";
import { knownZeroesOf, ZeroingRange } from "../devices/known_zeroes.ts";
import { MediumState, Since } from "../devices/medium_state.ts";
import { TYPE } from "../counters/layout.ts";
import type { Handle, Io, MediumGeometry, Off } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import type { MediumFile, MediumSource, Wipe } from "./medium_file.ts";

/** Moved in one operation; larger transfers go in steps, so that arena buffers stay small. */
const STEP_BYTES = 64 * 1024;

/**
 * A MediumFile over the seam. The data path uses the same `handle` and `state`: a host's flush and
 * a label's share one sync, and one failure.
 */
export class IoMediumFile implements MediumFile {
  readonly path: string;
  readonly state: MediumState;
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  readonly identity: string | null;
  /** Which time it is that the device is there (MediumGeometry). */
  readonly incarnation: string | null;
  /** What its clients' requests are made of: the device's logical block, or a byte of a file. */
  readonly minimumBlockBytes: number;
  readonly handle: Handle;
  readonly #io: Io;
  readonly #promises: IoPromises;

  constructor(
    seam: { io: Io; promises: IoPromises },
    medium: { path: string; handle: Handle; geometry: MediumGeometry },
  ) {
    this.#io = seam.io;
    this.#promises = seam.promises;
    this.path = medium.path;
    this.handle = medium.handle;
    const { handle, geometry } = medium;
    const { sizeBytes } = geometry;
    const zeroes = knownZeroesOf(geometry);
    this.state = new MediumState({ io: seam.io, handle, sizeBytes, zeroes });
    this.kind = geometry.kind;
    this.sizeBytes = sizeBytes;
    this.identity = seam.io.identity(medium.handle);
    this.incarnation = geometry.incarnation ?? null;
    this.minimumBlockBytes = this.kind === "block" ? medium.geometry.logicalBlockBytes : 1;
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    // A device is read past the page cache, by whole blocks.
    const unit = this.minimumBlockBytes;
    const begin = position - position % unit;
    const end = Math.min(this.sizeBytes, roundUp(position + length, unit));
    const bytes = new Uint8Array(end - begin);
    await this.#steps(begin, end - begin, async (off, step) => {
      const since = new Since();
      this.state.began(TYPE.read, since);
      const result = await this.#promises.read(this.handle, { off, ...step });
      this.state.ended(TYPE.read, since, result);
      this.#check(result, "Reading", step);
      bytes.set(this.#io.bytes.subarray(off, off + step.length), step.position - begin);
    });
    return bytes.subarray(position - begin, position - begin + length);
  }

  async write(position: number, bytes: Uint8Array): Promise<void> {
    await this.#steps(position, bytes.length, async (off, step) => {
      const from = step.position - position;
      this.#io.bytes.set(bytes.subarray(from, from + step.length), off);
      const since = new Since();
      this.state.began(TYPE.write, since);
      this.state.changing(step.position, step.length);
      this.state.zeroes?.changed(step.position, step.length);
      const result = await this.#promises.write(this.handle, { off, ...step });
      this.state.zeroes?.changed(step.position, step.length);
      this.state.ended(TYPE.write, since, result);
      this.state.changed(step.position, step.length);
      this.#check(result, "Writing", step);
    });
  }

  async sync(): Promise<void> {
    const { result } = this.#promises.submit((operation) => this.state.sync(operation));
    this.#check(await result, "Flushing", { position: 0, length: this.sizeBytes });
  }

  async zero(position: number, length: number): Promise<void> {
    assert(position >= 0 && position + length <= this.sizeBytes, "zeroing outside a medium");
    // A hole in a file reads as zeroes and takes no space; a device really writes them.
    const range = { position, length, mayDiscard: this.kind === "file", fast: false };
    const since = new Since();
    this.state.began(TYPE.zero, since);
    const zeroing = new ZeroingRange();
    this.state.changing(position, length);
    this.state.zeroes?.zeroingBegan(zeroing, position, length);
    const result = await this.#promises.zero(this.handle, range);
    this.state.zeroes?.zeroingEnded(zeroing, result >= 0);
    this.state.ended(TYPE.zero, since, result < 0 ? result : length);
    this.state.changed(position, length);
    this.#check(result, "Zeroing", range);
  }

  poison(): void {
    this.state.poison();
  }

  close(): Promise<void> {
    this.#io.close(this.handle);
    return Promise.resolve();
  }

  async #steps(
    position: number,
    length: number,
    run: (off: Off, step: { position: number; length: number }) => Promise<void>,
  ): Promise<void> {
    assert(position >= 0 && position + length <= this.sizeBytes, "a transfer outside a medium");
    if (length === 0) return;
    const off = await this.#promises.buffer(Math.min(length, STEP_BYTES));
    try {
      for (let done = 0; done < length; done += STEP_BYTES) {
        const step = { position: position + done, length: Math.min(STEP_BYTES, length - done) };
        await run(off, step);
      }
    } finally {
      this.#io.buffers.release(off);
    }
  }

  #check(result: number, doing: string, at: { position: number; length: number }): void {
    if (result >= 0) return;
    throw new DvsanError(
      "io",
      `${doing} ${this.path} at byte ${at.position} (${at.length} bytes) failed: ` +
        `${errnoName(result)}.`,
      { details: { errno: -result } },
    );
  }
}

/** A path as a medium of this unit, opened exclusively through the seam. */
export function ioMediumSource(
  seam: { io: Io; promises: IoPromises },
  medium: {
    readonly path: string;
    readonly wipe: Wipe;
    /** How long somebody else's use is waited for: this process' own, which has just ended. */
    readonly busyMs?: number;
    /** It was poisoned: nothing that the kernel remembers of it is believed. */
    readonly dropsCache?: boolean;
  },
): MediumSource {
  const { path, wipe, busyMs = 0, dropsCache = false } = medium;
  return { path, wipe, open: () => openIoMedium(seam, { path, busyMs, dropsCache }) };
}

/**
 * A medium that was just closed may be held a little longer: by its last operation, which the
 * handle waits for, and by the kernel, which lets go of a file when it has tidied that away.
 */
async function openIoMedium(
  seam: { io: Io; promises: IoPromises },
  { path, busyMs, dropsCache }: { path: string; busyMs: number; dropsCache: boolean },
): Promise<IoMediumFile> {
  const open = () => seam.io.openMedium({ path, readOnly: false, exclusive: true });
  const giveUpMs = seam.io.nowMs() + busyMs;
  let isLast = busyMs === 0;
  let handle = open();
  while (handle === -Errno.EBUSY && !isLast) {
    // Once more when the time is over: this process may have stood still for all of it.
    isLast = seam.io.nowMs() >= giveUpMs;
    await seam.promises.timer(MEDIUM_BUSY_RETRY_MS);
    handle = open();
  }
  if (handle < 0) throw openError(path, -handle);
  if (dropsCache) await dropCache(seam.promises, handle);
  return new IoMediumFile(seam, { path, handle, geometry: seam.io.geometry(handle) });
}

/**
 * What could not be written back counts as clean for the kernel and is read until it is dropped,
 * whenever that is; then what was there before is read again. So it is dropped before anybody
 * reads. What is still to be written is written first. What of that fails is lost as well, and is
 * dropped with the rest: the medium is worth no less for it, since hosts replay what was not
 * flushed. Whether the device works is told by the label, which is written next.
 */
async function dropCache(promises: IoPromises, handle: Handle): Promise<void> {
  await promises.sync(handle);
  await promises.dropCache(handle);
}

function openError(path: string, errno: number): DvsanError {
  const details = { details: { errno } };
  switch (errno) {
    case Errno.ENOENT:
    case Errno.ENOTDIR:
      return new DvsanError(
        "not-found",
        `Cannot use ${path}: it does not exist. Create it first (for a file: truncate -s 10G ` +
          "FILE), or correct the path.",
        details,
      );
    case Errno.EBUSY:
    case Errno.EAGAIN:
      return new DvsanError(
        "busy",
        `Cannot use ${path}: somebody else uses it (a mounted file system, another dvsan, a ` +
          "RAID or LVM; or this unit yet, when its device is stalled). Stop that first.",
        details,
      );
    case Errno.EACCES:
    case Errno.EPERM:
    case Errno.EROFS:
      return new DvsanError(
        "denied",
        `Cannot use ${path}: it may not be written to (${errnoName(errno)}). Check its owner and ` +
          "mode, and who runs dvsan.",
        details,
      );
    case Errno.EISDIR:
    case Errno.EINVAL:
    case Errno.ENODEV:
    case Errno.ENOTBLK:
      return new DvsanError(
        "invalid",
        `Cannot use ${path}: it is neither a regular file nor a block device.`,
        details,
      );
    default:
      return new DvsanError("io", `Cannot open ${path}: ${errnoName(errno)}.`, details);
  }
}
