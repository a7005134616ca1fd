import type { Transfer, ZeroRange } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { Device, DeviceTraits } from "./device.ts";
import { Pool } from "./pool.ts";

/** Counters of one device since it was made; only its StatsDevice writes them. */
export interface DeviceStats {
  reads: number;
  readBytes: number;
  writes: number;
  writtenBytes: number;
  flushes: number;
  discards: number;
  zeroes: number;
  errors: number;
  underWay: number;
  /** Sum and maximum of the times from submission to end, in milliseconds. */
  latencyMsSum: number;
  latencyMsMax: number;
}

/** Counts what goes through to another device, and how long it takes. */
export class StatsDevice implements Device {
  readonly traits: DeviceTraits;
  readonly stats: DeviceStats = {
    reads: 0,
    readBytes: 0,
    writes: 0,
    writtenBytes: 0,
    flushes: 0,
    discards: 0,
    zeroes: 0,
    errors: 0,
    underWay: 0,
    latencyMsSum: 0,
    latencyMsMax: 0,
  };
  readonly #inner: Device;
  readonly #nowMs: () => number;
  readonly #pool = new Pool(() => new Measured(this));

  constructor(inner: Device, options: { readonly nowMs: () => number }) {
    this.#inner = inner;
    this.#nowMs = options.nowMs;
    this.traits = inner.traits;
  }

  read(operation: Operation, at: Transfer): void {
    this.stats.reads++;
    this.stats.readBytes += at.length;
    this.#inner.read(this.#begin(operation), at);
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    this.stats.writes++;
    this.stats.writtenBytes += at.length;
    this.#inner.write(this.#begin(operation), at, fua);
  }

  flush(operation: Operation): void {
    this.stats.flushes++;
    this.#inner.flush(this.#begin(operation));
  }

  discard(operation: Operation, position: number, length: number): void {
    this.stats.discards++;
    this.#inner.discard(this.#begin(operation), position, length);
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    this.stats.zeroes++;
    this.#inner.zero(this.#begin(operation), at, fua);
  }

  /** For Measured: an operation has ended. */
  ended(measured: Measured, result: number): void {
    const latencyMs = this.#nowMs() - measured.sinceMs;
    this.stats.underWay--;
    this.stats.latencyMsSum += latencyMs;
    this.stats.latencyMsMax = Math.max(this.stats.latencyMsMax, latencyMs);
    if (result < 0) this.stats.errors++;
    this.#pool.release(measured);
  }

  #begin(caller: Operation): Operation {
    this.stats.underWay++;
    return this.#pool.take().begin(caller, this.#nowMs());
  }
}

/** A caller's operation with its time of submission. */
class Measured {
  sinceMs = 0;
  readonly #device: StatsDevice;
  readonly #operation = new Operation(() => this.#done());
  #caller: Operation | null = null;

  constructor(device: StatsDevice) {
    this.#device = device;
  }

  begin(caller: Operation, nowMs: number): Operation {
    caller.busy = true;
    this.#caller = caller;
    this.sinceMs = nowMs;
    return this.#operation;
  }

  #done(): void {
    const caller = this.#caller!;
    const { result } = this.#operation;
    this.#caller = null;
    this.#device.ended(this, result);
    caller.busy = false;
    caller.result = result;
    caller.done(caller);
  }
}
