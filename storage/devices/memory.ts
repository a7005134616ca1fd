import { assert } from "../../protocol/core/assert.ts";
import type { AllocationQuery, Io, Transfer, ZeroRange } from "../io/io.ts";
import { RUN, RunWriter } from "../io/allocation_runs.ts";
import type { Operation } from "../io/operation.ts";
import type { ByteRange, Device, DeviceTraits } from "./device.ts";
import { DeviceQueue } from "./device_queue.ts";
import { assertRange } from "./ranges.ts";

const PAGE_BYTES = 4096;

/** A device in memory, for tests and trials. Flushing it is true in the way memory is. */
export class MemoryDevice implements Device {
  readonly traits: DeviceTraits;
  readonly bytes: Uint8Array;
  readonly #io: Io;
  readonly #queue: DeviceQueue;

  constructor(options: { io: Io; sizeBytes: number; readOnly?: boolean }) {
    this.#io = options.io;
    this.#queue = new DeviceQueue(options.io);
    this.bytes = new Uint8Array(options.sizeBytes);
    this.traits = {
      sizeBytes: options.sizeBytes,
      readOnly: options.readOnly ?? false,
      canDiscard: true,
      canZero: true,
      flushCoversAll: true,
      minimumBlockBytes: 1,
      preferredBlockBytes: 4096,
    };
  }

  read(operation: Operation, at: Transfer): void {
    assertRange(this.traits, at);
    const { off, length, position } = at;
    this.#io.bytes.set(this.bytes.subarray(position, position + length), off);
    this.#queue.end(operation, length);
  }

  write(operation: Operation, at: Transfer, _fua: boolean): void {
    assert(!this.traits.readOnly, "nothing is written to a read-only device");
    assertRange(this.traits, at);
    this.bytes.set(this.#io.bytes.subarray(at.off, at.off + at.length), at.position);
    this.#queue.end(operation, at.length);
  }

  flush(operation: Operation): void {
    this.#queue.end(operation, 0);
  }

  discard(operation: Operation, { position, length }: ByteRange, _fua: boolean): void {
    this.zero(operation, { position, length, mayDiscard: true, fast: false });
  }

  zero(operation: Operation, at: ZeroRange, _fua = false): void {
    assert(!this.traits.readOnly, "nothing is written to a read-only device");
    assertRange(this.traits, at);
    this.bytes.fill(0, at.position, at.position + at.length);
    this.#queue.end(operation, 0);
  }

  readAhead(operation: Operation, position: number, length: number): void {
    assertRange(this.traits, { position, length });
    this.#queue.end(operation, 0);
  }

  /** Pages that hold nothing but zeroes count as holes. */
  allocation(operation: Operation, at: AllocationQuery): void {
    assertRange(this.traits, at);
    const runs = new RunWriter(this.#io.view, at);
    for (let isMore = true; isMore;) {
      const end = Math.min((Math.floor(runs.position / PAGE_BYTES) + 1) * PAGE_BYTES, runs.end);
      const isHole = isZero(this.bytes, runs.position, end);
      isMore = runs.add(end, isHole ? RUN.hole : RUN.data);
    }
    this.#queue.end(operation, runs.count);
  }
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false;
  return true;
}
