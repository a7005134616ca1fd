import type { ByteRange, Device } from "../devices/device.ts";
import { MemoryDevice } from "../devices/memory.ts";
import type { AllocationQuery, Io, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";

/** A change or flush as it reached the medium, for tests that look at the order. */
export interface SeenChange {
  readonly kind: "write" | "zero" | "discard" | "flush";
  readonly position: number;
  readonly length: number;
  /** The first byte of a write. */
  readonly stamp: number;
}

/** Memory that forgets what was not flushed when its machine goes down. */
export class ForgetfulDevice implements Device {
  readonly seen: SeenChange[] = [];
  /** Ends the next flushes with this errno. */
  flushErrno = 0;
  writeErrno = 0;
  readonly #io: Io;
  readonly #durable: Uint8Array;
  #memory: MemoryDevice;

  constructor(io: Io, sizeBytes: number, old: Uint8Array = new Uint8Array(0)) {
    this.#io = io;
    this.#memory = new MemoryDevice({ io, sizeBytes });
    this.#memory.bytes.set(old);
    this.#durable = this.#memory.bytes.slice();
  }

  get traits() {
    return this.#memory.traits;
  }

  get bytes(): Uint8Array {
    return this.#memory.bytes;
  }

  get durable(): Uint8Array {
    return this.#durable;
  }

  forget(): void {
    this.#memory.bytes.set(this.#durable);
  }

  read(operation: Operation, at: Transfer): void {
    this.#memory.read(operation, at);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    const { position, length, off } = at;
    if (this.writeErrno !== 0) {
      this.#memory.flush(operation);
      const done = operation.done;
      operation.done = (ended) => {
        ended.done = done;
        ended.result = -this.writeErrno;
        done(ended);
      };
      return;
    }
    this.seen.push({ kind: "write", position, length, stamp: this.#io.bytes[off]! });
    this.#memory.write(operation, at, fua);
    if (fua) this.#keep(position, length);
  }

  flush(operation: Operation): void {
    this.seen.push({ kind: "flush", position: 0, length: 0, stamp: 0 });
    this.#memory.flush(operation);
    if (this.flushErrno === 0) return this.#keep(0, this.#durable.length);
    const { done } = operation;
    const result = -this.flushErrno;
    operation.done = (ended) => {
      Object.assign(ended, { done, result });
      done(ended);
    };
  }

  discard(operation: Operation, at: ByteRange, fua: boolean): void {
    this.seen.push({ kind: "discard", ...at, stamp: 0 });
    this.#memory.discard(operation, at, fua);
    if (fua) this.#keep(at.position, at.length);
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    const { position, length } = at;
    this.seen.push({ kind: "zero", position, length, stamp: 0 });
    this.#memory.zero(operation, at, fua);
    if (fua) this.#keep(position, length);
  }

  readAhead(operation: Operation, position: number, length: number): void {
    this.#memory.readAhead(operation, position, length);
  }

  allocation(operation: Operation, at: AllocationQuery): void {
    this.#memory.allocation(operation, at);
  }

  #keep(position: number, length: number): void {
    this.#durable.set(this.bytes.subarray(position, position + length), position);
  }
}
