import { assert, AssertionError, defined } from "../../protocol/core/assert.ts";
import type { Handle, Io, Off, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import type { Device, DeviceTraits } from "./device.ts";
import { DeviceQueue } from "./device_queue.ts";
import { ExtentPart, JoinedParts, type PartWork } from "./extent_parts.ts";
import type { MediumState } from "./medium_state.ts";
import { Pool } from "./pool.ts";
import { assertRange } from "./ranges.ts";

/** A run of an open medium. The same medium must have the same `state` everywhere. */
export interface MediumExtent {
  readonly handle: Handle;
  readonly state: MediumState;
  /** First byte on the medium. */
  readonly start: number;
  readonly length: number;
}

export interface ExtentsDeviceOptions {
  readonly io: Io;
  readonly readOnly: boolean;
  /** In the order of the device's address space. */
  readonly extents: readonly MediumExtent[];
  /** A power of two; 1 when not given. */
  readonly minimumBlockBytes?: number;
}

interface PlacedExtent extends MediumExtent {
  /** Where it begins in the device's address space. */
  readonly begin: number;
}

const EIO = 5;

/**
 * Extents of one or more media as one address space. A request that crosses a boundary becomes one
 * part for each extent. Does not own the media.
 */
export class ExtentsDevice implements Device {
  readonly traits: DeviceTraits;
  readonly #io: Io;
  readonly #extents: readonly PlacedExtent[];
  /** One extent for each medium, to flush it by. */
  readonly #media: readonly PlacedExtent[];
  readonly #queue: DeviceQueue;
  readonly #parts: Pool<ExtentPart>;
  readonly #joins: Pool<JoinedParts>;
  readonly #work: PartWork = { kind: "read", off: 0, position: 0, length: 0, flag: false };

  constructor(options: ExtentsDeviceOptions) {
    const { io } = options;
    let begin = 0;
    this.#extents = options.extents.map((extent) => {
      const placed = { ...extent, begin };
      begin += extent.length;
      return placed;
    });
    this.#media = this.#extents.filter((extent, i, all) =>
      all.findIndex((other) => other.state === extent.state) === i
    );
    this.#io = io;
    this.#queue = new DeviceQueue(io);
    this.#parts = new Pool(() => new ExtentPart(io, (part) => this.#parts.release(part)));
    this.#joins = new Pool(() => new JoinedParts((join) => this.#joins.release(join)));
    const minimumBlockBytes = options.minimumBlockBytes ?? 1;
    this.traits = {
      sizeBytes: begin,
      readOnly: options.readOnly,
      canDiscard: true,
      canZero: true,
      flushCoversAll: true,
      minimumBlockBytes,
      preferredBlockBytes: Math.max(4096, minimumBlockBytes),
    };
  }

  read(operation: Operation, at: Transfer): void {
    this.#begin("read", operation, at.off, at, false);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    if (fua && this.#poisoned()) return this.#queue.end(operation, -EIO);
    this.#begin("write", operation, at.off, at, fua);
  }

  discard(operation: Operation, position: number, length: number): void {
    this.#range.position = position;
    this.#range.length = length;
    this.#begin("discard", operation, -1, this.#range, false);
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    if (fua && this.#poisoned()) return this.#queue.end(operation, -EIO);
    const kind = fua ? "zero-durably" : "zero";
    this.#begin(kind, operation, -1, at, at.mayDiscard);
  }

  flush(operation: Operation): void {
    if (this.#poisoned()) return this.#queue.end(operation, -EIO);
    let count = 0;
    for (const { state } of this.#media) if (state.synced < state.changes) count++;
    if (count === 0) return this.#queue.end(operation, 0);
    const join = this.#joins.take();
    join.begin(operation, { parts: count, result: 0 });
    this.#work.kind = "sync";
    for (const medium of this.#media) {
      if (medium.state.synced < medium.state.changes) {
        this.#parts.take().begin(join, medium, this.#work);
      }
    }
  }

  readonly #range = { position: 0, length: 0 };

  /** Any medium of it: a volume with one leg that forgets is a volume that forgets. */
  #poisoned(): boolean {
    for (const medium of this.#media) if (medium.state.poisoned) return true;
    return false;
  }

  #begin(
    kind: PartWork["kind"],
    operation: Operation,
    off: Off,
    at: { readonly position: number; readonly length: number },
    flag: boolean,
  ): void {
    assertRange(this.traits, at);
    assert(kind === "read" || !this.traits.readOnly, "nothing is written to a read-only device");
    const { position, length } = at;
    if (length === 0) return this.#queue.end(operation, 0);
    const end = position + length;
    const first = this.#indexAt(position);
    let parts = 1;
    for (let i = first; this.#endOf(i) < end; i++) parts++;
    const join = this.#joins.take();
    join.begin(operation, { parts, result: kind === "read" || kind === "write" ? length : 0 });
    const work = this.#work;
    work.kind = kind;
    work.flag = flag;
    for (let i = first; i < first + parts; i++) {
      const extent = defined(this.#extents[i], "a range lies inside the extents");
      const from = Math.max(position, extent.begin);
      work.off = off + (from - position);
      work.position = extent.start + (from - extent.begin);
      work.length = Math.min(end, extent.begin + extent.length) - from;
      this.#parts.take().begin(join, extent, work);
    }
  }

  #endOf(index: number): number {
    const extent = defined(this.#extents[index], "a range lies inside the extents");
    return extent.begin + extent.length;
  }

  /** The extent that `position` lies in; there is one by the check of the range. */
  #indexAt(position: number): number {
    let low = 0;
    let high = this.#extents.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#extents[middle]!.begin <= position) low = middle;
      else high = middle - 1;
    }
    if (low > high) throw new AssertionError("a device without extents has no positions");
    return low;
  }
}
