import { assert } from "../../protocol/core/assert.ts";
import type { AllocationQuery, Transfer, ZeroRange } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { AtOnce, ByteRange, Device, DeviceTraits } from "./device.ts";

const EIO = 5;
const ESHUTDOWN = 108;

/**
 * A device that keeps requests back until `release`: what was sent to it before is then done in
 * order, and what comes later passes straight through. Only requests that are kept back allocate.
 */
export class HeldDevice implements Device {
  readonly traits: DeviceTraits;
  readonly #inner: Device;
  #kept: Kept[] | null = [];
  /** A loss is to be told by a flush that fails; this says that it was. */
  #told: (() => void) | null = null;

  constructor(inner: Device) {
    this.#inner = inner;
    // It is one connection's, and the next one throws that out: there are no others to promise to.
    this.traits = { ...inner.traits, flushCoversAll: false };
  }

  get atOnce(): AtOnce | null {
    return this.#kept === null ? this.#inner.atOnce ?? null : null;
  }

  /** Idempotent. */
  release(): void {
    const kept = this.#kept ?? [];
    this.#kept = null;
    for (const { operation, run } of kept) {
      operation.busy = false;
      run();
    }
  }

  /** Ends what was kept back with ESHUTDOWN. The caller sends nothing more. */
  drop(): void {
    const kept = this.#kept ?? [];
    this.#kept = null;
    for (const { operation } of kept) {
      operation.busy = false;
      operation.result = -ESHUTDOWN;
      operation.done(operation);
    }
  }

  read(operation: Operation, at: Transfer): void {
    if (this.#kept === null) return this.#inner.read(operation, at);
    const copy = { ...at };
    this.#keep(operation, () => this.#inner.read(operation, copy));
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    if (this.#kept === null) return this.#inner.write(operation, at, fua);
    const copy = { ...at };
    this.#keep(operation, () => this.#inner.write(operation, copy, fua));
  }

  flush(operation: Operation): void {
    if (this.#kept === null) return this.#flush(operation);
    this.#keep(operation, () => this.#flush(operation));
  }

  /** One flush of the client's, whatever it comes to, ends with EIO; `told` follows. */
  failNextFlush(told: () => void): void {
    this.#told = told;
  }

  /** A flush that is not the client's. */
  sync(operation: Operation): void {
    this.#inner.flush(operation);
  }

  #flush(operation: Operation): void {
    const told = this.#told;
    if (told === null) return this.#inner.flush(operation);
    this.#told = null;
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    this.#inner.flush(
      new Operation(() => {
        // Somebody who has gone hears nothing: who comes next has to.
        if (!operation.asker?.hasGone) told();
        operation.busy = false;
        operation.result = -EIO;
        operation.done(operation);
      }),
    );
  }

  discard(operation: Operation, at: ByteRange, fua: boolean): void {
    if (this.#kept === null) return this.#inner.discard(operation, at, fua);
    const copy = { ...at };
    this.#keep(operation, () => this.#inner.discard(operation, copy, fua));
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    if (this.#kept === null) return this.#inner.zero(operation, at, fua);
    const copy = { ...at };
    this.#keep(operation, () => this.#inner.zero(operation, copy, fua));
  }

  readAhead(operation: Operation, position: number, length: number): void {
    if (this.#kept === null) return this.#inner.readAhead(operation, position, length);
    this.#keep(operation, () => this.#inner.readAhead(operation, position, length));
  }

  allocation(operation: Operation, at: AllocationQuery): void {
    if (this.#kept === null) return this.#inner.allocation(operation, at);
    const copy = { ...at };
    this.#keep(operation, () => this.#inner.allocation(operation, copy));
  }

  #keep(operation: Operation, run: () => void): void {
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    this.#kept?.push({ operation, run });
  }
}

interface Kept {
  readonly operation: Operation;
  readonly run: () => void;
}
