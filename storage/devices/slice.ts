import { assert } from "../../protocol/core/assert.ts";
import type { AllocationQuery, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import type { ByteRange, Device, DeviceTraits } from "./device.ts";
import { assertRange } from "./ranges.ts";

/** A contiguous range of another device, for example a volume without its header. */
export class SliceDevice implements Device {
  readonly traits: DeviceTraits;
  readonly #whole: Device;
  readonly #start: number;

  constructor(whole: Device, range: { readonly start: number; readonly length: number }) {
    assertRange(whole.traits, { position: range.start, length: range.length });
    const block = whole.traits.minimumBlockBytes;
    assert(range.start % block === 0 && range.length % block === 0, "a slice has whole blocks");
    this.#whole = whole;
    this.#start = range.start;
    this.traits = { ...whole.traits, sizeBytes: range.length };
  }

  read(operation: Operation, at: Transfer): void {
    assertRange(this.traits, at);
    at.position += this.#start;
    this.#whole.read(operation, at);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    assertRange(this.traits, at);
    at.position += this.#start;
    this.#whole.write(operation, at, fua);
  }

  flush(operation: Operation): void {
    this.#whole.flush(operation);
  }

  discard(operation: Operation, at: ByteRange, fua: boolean): void {
    assertRange(this.traits, at);
    at.position += this.#start;
    this.#whole.discard(operation, at, fua);
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    assertRange(this.traits, at);
    at.position += this.#start;
    this.#whole.zero(operation, at, fua);
  }

  readAhead(operation: Operation, position: number, length: number): void {
    assertRange(this.traits, { position, length });
    this.#whole.readAhead(operation, this.#start + position, length);
  }

  allocation(operation: Operation, at: AllocationQuery): void {
    assertRange(this.traits, at);
    at.position += this.#start;
    this.#whole.allocation(operation, at);
  }
}
