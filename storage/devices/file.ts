import { assert } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { errnoName } from "../io/errno.ts";
import type { AllocationQuery, Handle, Io, MediumGeometry, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import type { AtOnce, ByteRange, Device, DeviceTraits } from "./device.ts";
import { ExtentsDevice } from "./extents.ts";
import { knownZeroesOf } from "./known_zeroes.ts";
import { MediumState } from "./medium_state.ts";

export interface FileDeviceOptions {
  readonly io: Io;
  readonly path: string;
  readonly readOnly: boolean;
}

/** A whole file or block device, opened through the seam and owned until `close`. */
export class FileDevice implements Device {
  readonly traits: DeviceTraits;
  readonly atOnce: AtOnce | null;
  readonly geometry: MediumGeometry;
  readonly state: MediumState;
  readonly #io: Io;
  readonly #handle: Handle;
  readonly #whole: ExtentsDevice;
  #open = true;

  /** Throws DvsanError: "not-found", "busy", "denied" or "io", in words for people. */
  constructor(options: FileDeviceOptions) {
    const { io, path, readOnly } = options;
    const handle = io.openMedium({ path, readOnly, exclusive: !readOnly });
    if (handle < 0) throw openError(path, -handle);
    this.#io = io;
    this.#handle = handle;
    this.geometry = io.geometry(handle);
    const { sizeBytes } = this.geometry;
    const zeroes = knownZeroesOf(this.geometry);
    this.state = new MediumState({ io, handle, sizeBytes, zeroes });
    this.#whole = new ExtentsDevice({
      io,
      readOnly,
      minimumBlockBytes: this.geometry.kind === "block" ? this.geometry.logicalBlockBytes : 1,
      extents: [{ handle, state: this.state, start: 0, length: sizeBytes }],
    });
    this.atOnce = this.#whole.atOnce;
    this.traits = { ...this.#whole.traits, isOpenToAll: true };
  }

  read(operation: Operation, at: Transfer): void {
    this.#whole.read(operation, at);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    this.#whole.write(operation, at, fua);
  }

  flush(operation: Operation): void {
    this.#whole.flush(operation);
  }

  discard(operation: Operation, at: ByteRange, fua: boolean): void {
    this.#whole.discard(operation, at, fua);
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    this.#whole.zero(operation, at, fua);
  }

  readAhead(operation: Operation, position: number, length: number): void {
    this.#whole.readAhead(operation, position, length);
  }

  allocation(operation: Operation, at: AllocationQuery): void {
    this.#whole.allocation(operation, at);
  }

  /** Gives the file up. No operation may be under way. */
  close(): void {
    assert(this.#open, "a device is closed once");
    this.#open = false;
    this.#io.close(this.#handle);
  }
}

function openError(path: string, errno: number): DvsanError {
  switch (errno) {
    case 2: // ENOENT
    case 20: // ENOTDIR
      return new DvsanError("not-found", `Cannot open "${path}": no such file or device.`);
    case 16: // EBUSY
      return new DvsanError(
        "busy",
        `Cannot open "${path}": something else uses it. Stop that first.`,
      );
    case 1: // EPERM
    case 13: // EACCES
    case 30: // EROFS
      return new DvsanError(
        "denied",
        `Cannot open "${path}": not allowed. Check its permissions, or ask for --read-only.`,
      );
    case 21: // EISDIR
      return new DvsanError("invalid", `Cannot open "${path}": it is a directory.`);
    case 6: // ENXIO
    case 15: // ENOTBLK
    case 19: // ENODEV
      return new DvsanError(
        "invalid",
        `Cannot open "${path}": it is neither a regular file nor a block device.`,
      );
    default:
      return new DvsanError("io", `Cannot open "${path}": ${errnoName(errno)}.`);
  }
}
