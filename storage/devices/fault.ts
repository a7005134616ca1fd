import type { AllocationQuery, Io, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";
import type { AtOnce, ByteRange, Device, DeviceTraits } from "./device.ts";
import { DeviceQueue } from "./device_queue.ts";

export type FaultKind = "read" | "write" | "flush" | "discard" | "zero" | "advise";

/** What happens to the operations of one kind. */
export type Fault =
  /** They end with this errno and reach nothing. */
  | { readonly kind: "fail"; readonly errno: number }
  /** They are kept until `release`, then go on. */
  | { readonly kind: "hold" };

/** A device whose operations fail or stand still as a test says. */
export class FaultDevice implements Device {
  readonly traits: DeviceTraits;
  readonly atOnce: AtOnce | null;
  readonly #inner: Device;
  readonly #queue: DeviceQueue;
  readonly #faults = new Map<FaultKind, Fault>();
  #held: (() => void)[] = [];

  /** What is asked for by `atOnce` knows no faults. */
  constructor(inner: Device, options: { readonly io: Io; readonly atOnce?: AtOnce | null }) {
    this.#inner = inner;
    this.atOnce = options.atOnce ?? null;
    this.#queue = new DeviceQueue(options.io);
    this.traits = inner.traits;
  }

  /** From now on; null: as usual. What is held stays so. */
  set(kind: FaultKind, fault: Fault | null): void {
    if (fault === null) this.#faults.delete(kind);
    else this.#faults.set(kind, fault);
  }

  get heldCount(): number {
    return this.#held.length;
  }

  /** Lets what is held go on. */
  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const go of held) go();
  }

  read(operation: Operation, at: Transfer): void {
    const copy = { ...at };
    this.#through("read", operation, () => this.#inner.read(operation, copy));
  }

  write(operation: Operation, at: Transfer, fua: boolean): void {
    const copy = { ...at };
    this.#through("write", operation, () => this.#inner.write(operation, copy, fua));
  }

  flush(operation: Operation): void {
    this.#through("flush", operation, () => this.#inner.flush(operation));
  }

  discard(operation: Operation, at: ByteRange, fua: boolean): void {
    const copy = { ...at };
    this.#through("discard", operation, () => this.#inner.discard(operation, copy, fua));
  }

  zero(operation: Operation, at: ZeroRange, fua: boolean): void {
    const copy = { ...at };
    this.#through("zero", operation, () => this.#inner.zero(operation, copy, fua));
  }

  readAhead(operation: Operation, position: number, length: number): void {
    this.#through("advise", operation, () => this.#inner.readAhead(operation, position, length));
  }

  allocation(operation: Operation, at: AllocationQuery): void {
    const copy = { ...at };
    this.#through("advise", operation, () => this.#inner.allocation(operation, copy));
  }

  #through(kind: FaultKind, operation: Operation, submit: () => void): void {
    const fault = this.#faults.get(kind);
    if (fault === undefined) return submit();
    if (fault.kind === "fail") return this.#queue.end(operation, -fault.errno);
    operation.busy = true;
    this.#held.push(() => {
      operation.busy = false;
      submit();
    });
  }
}
