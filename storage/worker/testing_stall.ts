import { SECTOR_BYTES } from "../../protocol/label/codec.ts";
import type { Handle, Io, MediumOpenOptions, Transfer, ZeroRange } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { BLOCK_BYTES } from "./testing_client.ts";

const EIO = 5;
const EBUSY = 16;
/** How long a test gives a unit that waits, until it says that this is over: long enough. */
export const LIMIT_MS = 3_600_000;

/**
 * Keeps back looks at media, writes of one block, or zeroing, until they are let go: stalled
 * media. As behind a real seam, a handle is closed once nothing on it is kept back any more.
 */
export class Stall {
  readonly io: Io;
  /** Writes are kept back. */
  on = false;
  /** Reads of one sector are kept back: a heartbeat's looks at the media's ends. */
  reading = false;
  /** Zeroing is kept back. */
  zeroing = false;
  /** A medium that is opened at this path from now on does not answer, or not to writes. */
  opening: { readonly path: string; readonly what: "everything" | "writes" } | null = null;
  /** Handles of those. */
  readonly #silent = new Map<Handle, "everything" | "writes">();
  /** So many syncs fail from now on, each after it was done. */
  failingSyncs = 0;
  syncs = 0;
  /** So many openings from now on meet a system that has not let go of the medium yet. */
  busyOpenings = 0;
  /** How often something was to be waited for, for LIMIT_MS at most. */
  limitsBegun = 0;
  readonly #limits = new Set<Operation>();
  #kept: { readonly handle: Handle; readonly run: () => void }[] = [];

  constructor(io: Io) {
    const keep = (operation: Operation, handle: Handle, run: () => void) => {
      operation.busy = true;
      const start = () => {
        operation.busy = false;
        run();
      };
      this.#kept.push({ handle, run: start });
    };
    const changed: Partial<Io> = {
      // What is done inside a call cannot be kept back, wherever the files of a test lie.
      isInMemory: () => false,
      read: (operation, handle, at: Transfer) => {
        const isLook = this.reading && at.length === SECTOR_BYTES;
        const isSilent = this.#silent.get(handle) === "everything";
        if (!isLook && !isSilent) return io.read(operation, handle, at);
        const copy = { ...at };
        keep(operation, handle, () => io.read(operation, handle, copy));
      },
      write: (operation, handle, at: Transfer, fua) => {
        const isBlock = this.on && at.length === BLOCK_BYTES;
        const isKept = isBlock || this.#silent.has(handle);
        if (!isKept) return io.write(operation, handle, at, fua);
        const copy = { ...at };
        keep(operation, handle, () => io.write(operation, handle, copy, fua));
      },
      zero: (operation, handle, at: ZeroRange) => {
        if (!this.zeroing) return io.zero(operation, handle, at);
        const copy = { ...at };
        keep(operation, handle, () => io.zero(operation, handle, copy));
      },
      timer: (operation, delayMs) => {
        if (delayMs === LIMIT_MS) this.#begunLimit(operation);
        io.timer(operation, delayMs);
      },
      sync: (operation, handle) => this.#sync(io, operation, handle),
      openMedium: (options: MediumOpenOptions) => {
        if (this.busyOpenings > 0) {
          this.busyOpenings--;
          return -EBUSY;
        }
        const handle = io.openMedium(options);
        const silent = this.opening?.path === options.path ? this.opening : null;
        if (silent !== null && handle > 0) this.#silent.set(handle, silent.what);
        return handle;
      },
      close: (handle) => {
        const isKept = this.#kept.some((one) => one.handle === handle);
        if (!isKept) return io.close(handle);
        this.#kept.push({ handle, run: () => io.close(handle) });
      },
    };
    this.io = new Proxy(io, {
      get: (target, key) => {
        if (Object.hasOwn(changed, key)) return Reflect.get(changed, key);
        const value = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  get count(): number {
    return this.#kept.length;
  }

  /** How many of those waits are not over. */
  get limits(): number {
    return [...this.#limits].filter(({ busy }) => busy).length;
  }

  /** None of them is waited for any longer. */
  passLimits(): void {
    for (const limit of this.#limits) this.io.cancel(limit);
    this.#limits.clear();
  }

  release(): void {
    this.on = false;
    this.reading = false;
    this.zeroing = false;
    this.opening = null;
    this.#silent.clear();
    for (const { run } of this.#kept.splice(0)) run();
  }

  #begunLimit(limit: Operation): void {
    this.limitsBegun++;
    this.#limits.add(limit);
  }

  #sync(io: Io, operation: Operation, handle: Handle): void {
    this.syncs++;
    if (this.failingSyncs === 0) return io.sync(operation, handle);
    this.failingSyncs--;
    operation.busy = true;
    const inner = new Operation(() => {
      operation.busy = false;
      operation.result = -EIO;
      operation.done(operation);
    });
    io.sync(inner, handle);
  }
}
