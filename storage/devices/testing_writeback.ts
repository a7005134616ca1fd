import type { Handle, Io, Transfer, ZeroRange } from "../io/io.ts";
import type { Operation } from "../io/operation.ts";

const EIO = 5;

/** A call that the modelled kernel has taken and not ended. */
export interface KernelCall {
  readonly kind: "write" | "zero" | "discard" | "sync";
  /** Whether it is to be durable when it ends. */
  readonly durable: boolean;
  /** First byte; a change is told by it. */
  readonly position: number;
  readonly length: number;
  readonly operation: Operation;
  /** Changes that were in the page cache when it began. */
  readonly covers: ReadonlySet<number>;
  /** What it ends with; null while the kernel is at it. */
  result: number | null;
}

/**
 * How Linux treats an open file's page cache, for tests: changes are dirty until they are written
 * back, a writeback may fail and then loses what was dirty, and its error is reported once, to the
 * sync or durable write that the kernel finishes first. Calls are taken through `io`; the test says
 * when the kernel finishes one, and when its result is reaped: both in any order.
 */
export class WritebackModel {
  readonly io: Io;
  readonly calls: KernelCall[] = [];
  /** Positions of changes that a failed writeback has lost. */
  readonly lost = new Set<number>();
  readonly durable = new Set<number>();
  readonly #dirty = new Set<number>();
  readonly #real: Io;
  /** A lost writeback that nobody was told of. */
  #unreported = false;

  /** What is not the medium's goes to `real`. */
  constructor(real: Io) {
    const taken = {
      identity: () => null,
      isInMemory: () => false,
      write: (operation: Operation, _: Handle, at: Transfer, fua: boolean) =>
        this.#take(operation, { kind: "write", durable: fua, ...at }),
      zero: (operation: Operation, _: Handle, at: ZeroRange) =>
        this.#take(operation, { kind: "zero", durable: false, ...at }),
      discard: (operation: Operation, _: Handle, position: number, length: number) =>
        this.#take(operation, { kind: "discard", durable: false, position, length }),
      sync: (operation: Operation) =>
        this.#take(operation, { kind: "sync", durable: true, position: -1, length: 0 }),
    };
    this.#real = real;
    this.io = new Proxy(real, {
      get: (target, key) => {
        const value = Reflect.get(taken, key) ?? Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  get syncs(): KernelCall[] {
    return this.calls.filter(({ kind }) => kind === "sync");
  }

  /** The kernel writes back of itself what is dirty, or loses it. */
  writeBack(outcome: "good" | "lost", positions: Iterable<number> = [...this.#dirty]): void {
    for (const position of positions) {
      if (!this.#dirty.delete(position)) continue;
      if (outcome === "lost") this.lost.add(position);
      else this.durable.add(position);
      if (outcome === "lost") this.#unreported = true;
    }
  }

  /** The kernel ends a call: with `errno` before it did anything, or as the page cache has it. */
  finish(call: KernelCall, options: { errno?: number; writeback?: "good" | "lost" } = {}): void {
    if (call.result !== null) return;
    call.result = options.errno === undefined ? this.#perform(call, options) : -options.errno;
  }

  /** Hands the result to whoever called. */
  reap(call: KernelCall): void {
    const { operation, result } = call;
    if (result === null) return;
    this.calls.splice(this.calls.indexOf(call), 1);
    operation.result = result;
    operation.busy = false;
    operation.done(operation);
  }

  end(call: KernelCall, options: { errno?: number } = {}): void {
    this.finish(call, options);
    this.reap(call);
  }

  turn(): void {
    this.#real.turn(0);
  }

  #take(
    operation: Operation,
    call: { kind: KernelCall["kind"]; durable: boolean; position: number; length: number },
  ): void {
    operation.busy = true;
    const { kind, durable, position, length } = call;
    const covers = new Set(this.#dirty);
    this.calls.push({ kind, durable, position, length, operation, covers, result: null });
  }

  #perform(call: KernelCall, options: { writeback?: "good" | "lost" }): number {
    if (call.kind !== "sync") this.#dirty.add(call.position);
    const good = call.kind === "write" ? call.length : 0;
    if (!call.durable) return good;
    const covers = call.kind === "sync" ? call.covers : [call.position];
    this.writeBack(options.writeback ?? "good", covers);
    if (!this.#unreported) return good;
    this.#unreported = false;
    return -EIO;
  }
}
