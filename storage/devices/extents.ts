import { assert, defined } from "../../protocol/core/assert.ts";
import { RANGE_PIECE_BYTES_MAX } from "../../protocol/core/limits.ts";
import type { AllocationQuery, Io, Off, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import type { AtOnce, ByteRange, Device, DeviceTraits } from "./device.ts";
import { DeviceQueue } from "./device_queue.ts";
import { ExtentsAtOnce } from "./extents_at_once.ts";
import { ExtentPart, isRange, JoinedParts, type PartWork } from "./extent_parts.ts";
import { Pool } from "./pool.ts";
import { RUN, RunWriter } from "../io/allocation_runs.ts";
import { grainEnd, type KnownZeroes } from "./known_zeroes.ts";
import { indexAt, type MediumExtent, type PlacedExtent } from "./placed_extents.ts";
import { assertRange } from "./ranges.ts";

export interface ExtentsDeviceOptions {
  readonly io: Io;
  readonly readOnly: boolean;
  /** In the order of the device's address space. */
  readonly extents: readonly MediumExtent[];
  /** A power of two; 1 when not given. */
  readonly minimumBlockBytes?: number;
}

const EIO = 5;

/**
 * Extents of one or more media as one address space. A request that crosses a boundary becomes one
 * part for each extent. Does not own the media.
 */
export class ExtentsDevice implements Device {
  readonly traits: DeviceTraits;
  readonly atOnce: AtOnce | null;
  readonly #io: Io;
  readonly #extents: readonly PlacedExtent[];
  /** One extent for each medium, to flush it by. */
  readonly #media: readonly PlacedExtent[];
  readonly #queue: DeviceQueue;
  readonly #parts: Pool<ExtentPart>;
  readonly #joins: Pool<JoinedParts>;
  readonly #work: PartWork = {
    kind: "read",
    off: 0,
    position: 0,
    length: 0,
    flag: false,
    fast: false,
    aside: false,
  };

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
    this.#joins = new Pool(() =>
      new JoinedParts({
        beginPart: (join) => this.#beginPart(join),
        release: (join) => this.#joins.release(join),
      })
    );
    const minimumBlockBytes = options.minimumBlockBytes ?? 1;
    this.traits = {
      sizeBytes: begin,
      readOnly: options.readOnly,
      canDiscard: true,
      canZero: true,
      flushCoversAll: true,
      minimumBlockBytes,
      preferredBlockBytes: Math.max(4096, minimumBlockBytes),
      inMemory: options.extents.every(({ handle }) => io.isInMemory(handle)),
    };
    this.atOnce = this.traits.inMemory === true
      ? new ExtentsAtOnce({ io, extents: this.#extents, sizeBytes: begin })
      : null;
  }

  read(operation: Operation, at: Transfer): void {
    this.#begin("read", operation, at.off, at, false, at.aside);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    if (fua && this.#poisoned()) return this.#queue.end(operation, -EIO);
    this.#begin("write", operation, at.off, at, fua);
  }

  discard(operation: Operation, at: ByteRange, fua: boolean): void {
    if (fua && this.#poisoned()) return this.#queue.end(operation, -EIO);
    this.#begin("discard", operation, -1, at, fua);
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    if (fua && this.#poisoned()) return this.#queue.end(operation, -EIO);
    this.#fast = at.fast;
    this.#begin(fua ? "zero-durably" : "zero", operation, -1, at, at.mayDiscard);
    this.#fast = false;
  }

  readAhead(operation: Operation, position: number, length: number): void {
    this.#range.position = position;
    this.#range.length = length;
    this.#begin("advise", operation, -1, this.#range, false);
  }

  /** Answers for the first extent that it meets: who asks goes on behind it. */
  allocation(operation: Operation, at: AllocationQuery): void {
    assertRange(this.traits, at);
    const extent = this.#extents[indexAt(this.#extents, at.position)]!;
    at.length = Math.min(at.length, extent.begin + extent.length - at.position);
    at.position += extent.start - extent.begin;
    const { zeroes, poisoned } = extent.state;
    // A hole may be what was lost; known zeroes are forgotten.
    if (poisoned) this.#queue.end(operation, writeDataRun(this.#io.view, at));
    else if (zeroes === null) this.#io.allocation(operation, extent.handle, at);
    else this.#queue.end(operation, writeKnownRuns(this.#io.view, zeroes, at));
  }

  flush(operation: Operation): void {
    if (this.#poisoned()) return this.#queue.end(operation, -EIO);
    if (!this.#media.some(needsSync)) return this.#queue.end(operation, 0);
    const join = this.#joins.take();
    join.kind = "sync";
    join.at = 0;
    join.end = this.#media.length;
    join.begin(operation, 0);
  }

  readonly #range = { position: 0, length: 0 };
  /** For the zeroes that are being begun. */
  #fast = false;

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
    aside = false,
  ): void {
    assertRange(this.traits, at);
    const isChange = kind !== "read" && kind !== "advise";
    assert(!isChange || !this.traits.readOnly, "nothing is written to a read-only device");
    const { position, length } = at;
    if (length === 0) return this.#queue.end(operation, 0);
    const index = indexAt(this.#extents, position);
    const extent = this.#extents[index]!;
    const from = position - extent.begin;
    if (!isRange(kind) && from + length <= extent.length) {
      const work = this.#work;
      work.kind = kind;
      work.flag = flag;
      work.fast = false;
      work.off = off;
      work.aside = aside;
      work.position = extent.start + from;
      work.length = length;
      return this.#parts.take().beginAlone(operation, extent, work);
    }
    const join = this.#joins.take();
    join.kind = kind;
    join.flag = flag;
    join.fast = this.#fast;
    join.off = off;
    join.aside = aside;
    join.at = position;
    join.end = position + length;
    join.extent = index;
    join.begin(operation, kind === "read" || kind === "write" ? length : 0);
  }

  /** Begins the next part of a join, of those that its range or its media still need. */
  #beginPart(join: JoinedParts): void {
    if (join.kind === "sync") return this.#beginSync(join);
    const extent = defined(this.#extents[join.extent], "a range lies inside the extents");
    const work = this.#work;
    work.kind = join.kind;
    work.flag = join.flag;
    work.fast = join.fast;
    work.off = join.off;
    work.aside = join.aside;
    work.position = extent.start + (join.at - extent.begin);
    const end = extent.begin + extent.length;
    work.length = Math.min(join.end, end) - join.at;
    if (isRange(join.kind)) work.length = Math.min(work.length, RANGE_PIECE_BYTES_MAX);
    join.off += work.length;
    join.at += work.length;
    if (join.at === end) join.extent++;
    this.#parts.take().begin(join, extent, work);
  }

  /** Skips media that another flush has synced meanwhile. */
  #beginSync(join: JoinedParts): void {
    const medium = defined(this.#media[join.at], "a medium is one of the device's");
    join.at++;
    if (medium.state.poisoned) return join.fail(-EIO);
    if (!needsSync(medium)) return;
    this.#work.kind = "sync";
    this.#parts.take().begin(join, medium, this.#work);
  }
}

function needsSync({ state }: MediumExtent): boolean {
  return state.needsSync;
}

function writeDataRun(view: DataView, at: AllocationQuery): number {
  const runs = new RunWriter(view, at);
  runs.add(runs.end, RUN.data);
  return runs.count;
}

/** A block device tells no holes: all of it is data, but for what is known to read as zeroes. */
function writeKnownRuns(view: DataView, zeroes: KnownZeroes, at: AllocationQuery): number {
  const runs = new RunWriter(view, at);
  for (let isMore = true; isMore;) {
    const { position } = runs;
    isMore = runs.add(grainEnd(position), zeroes.isZero(position) ? RUN.zero : RUN.data);
  }
  return runs.count;
}
