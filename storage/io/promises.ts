import { setImmediate } from "node:timers";
import type { Handle, Io, Off, SocketAddress, Transfer, ZeroRange } from "./io.ts";
import { Operation } from "./operation.ts";

/**
 * Promises for the cold path (attach, membership, labels, resync). Each marks the loop dirty when
 * it is made and when it settles, so that `runLoop` lets the code that awaits it go on before it
 * blocks. Code on the data worker awaits nothing else. Results are as in Io: a count or a Handle,
 * or a negated errno; nothing here rejects.
 */
export class IoPromises {
  /** Somebody may be waiting to go on: a turn of the event loop is due before blocking. */
  dirty = false;
  readonly #io: Io;

  constructor(io: Io) {
    this.#io = io;
  }

  /** Submits an operation of its own; `operation` is for cancelling. */
  submit(start: (operation: Operation) => void): {
    readonly operation: Operation;
    readonly result: Promise<number>;
  } {
    const { promise, resolve } = Promise.withResolvers<number>();
    const operation = new Operation((ended) => {
      this.dirty = true;
      resolve(ended.result);
    });
    this.dirty = true;
    start(operation);
    return { operation, result: promise };
  }

  /**
   * A promise and the function that settles it inside the loop; for whatever ends by a callback
   * there (a device's operation, a buffer, a condition).
   */
  deferred<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
    const { promise, resolve } = Promise.withResolvers<T>();
    this.dirty = true;
    return {
      promise,
      resolve: (value) => {
        this.dirty = true;
        resolve(value);
      },
    };
  }

  /** Says that something outside these promises may let awaiting code go on. */
  touch(): void {
    this.dirty = true;
  }

  read(handle: Handle, at: Transfer): Promise<number> {
    return this.submit((operation) => this.#io.read(operation, handle, at)).result;
  }

  write(handle: Handle, at: Transfer, options: { fua: boolean } = { fua: false }): Promise<number> {
    return this.submit((operation) => this.#io.write(operation, handle, at, options.fua)).result;
  }

  sync(handle: Handle): Promise<number> {
    return this.submit((operation) => this.#io.sync(operation, handle)).result;
  }

  dropCache(handle: Handle): Promise<number> {
    return this.submit((operation) => this.#io.dropCache(operation, handle)).result;
  }

  zero(handle: Handle, at: ZeroRange): Promise<number> {
    return this.submit((operation) => this.#io.zero(operation, handle, at)).result;
  }

  discard(handle: Handle, at: { position: number; length: number }): Promise<number> {
    const { position, length } = at;
    return this.submit((operation) => this.#io.discard(operation, handle, position, length))
      .result;
  }

  accept(listener: Handle): Promise<number> {
    return this.submit((operation) => this.#io.accept(operation, listener)).result;
  }

  connectTcp(to: SocketAddress): Promise<number> {
    return this.submit((operation) => this.#io.connectTcp(operation, to)).result;
  }

  connectUnix(path: string): Promise<number> {
    return this.submit((operation) => this.#io.connectUnix(operation, path)).result;
  }

  /** With a result above zero, `off` is a buffer that the caller releases. */
  async receive(handle: Handle): Promise<{ readonly result: number; readonly off: Off }> {
    const { operation, result } = this.submit((submitted) => this.#io.receive(submitted, handle));
    return { result: await result, off: operation.off };
  }

  receiveExactly(handle: Handle, into: { off: Off; length: number }): Promise<number> {
    return this.submit((operation) =>
      this.#io.receiveExactly(operation, handle, into.off, into.length)
    ).result;
  }

  send(handle: Handle, from: { off: Off; length: number }): Promise<number> {
    return this.submit((operation) => this.#io.send(operation, handle, from.off, from.length))
      .result;
  }

  /** Resolves to 0 after `delayMs`. */
  timer(delayMs: number): Promise<number> {
    return this.submit((operation) => this.#io.timer(operation, delayMs)).result;
  }

  /** A buffer of at least `length` bytes, in order of asking. */
  buffer(length: number): Promise<Off> {
    const { promise, resolve } = this.deferred<Off>();
    this.#io.buffers.wait(length, { run: resolve });
    return promise;
  }
}

/**
 * Turns `io` until `until` says so. Blocks at most `maxWaitMs` at a time; a dirty loop first takes
 * one turn of the event loop, in which whatever awaited a settled promise goes on.
 */
export async function runLoop(
  io: Io,
  promises: IoPromises,
  options: { readonly until: () => boolean; readonly maxWaitMs?: number },
): Promise<void> {
  const { until, maxWaitMs = 1000 } = options;
  while (!until()) {
    if (promises.dirty) {
      promises.dirty = false;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (until()) return;
    }
    io.turn(promises.dirty ? 0 : maxWaitMs);
  }
}

/** Runs the loop until `promise` settles, and answers as it does. For tests and start-up. */
export async function runUntilSettled<T>(
  io: Io,
  promises: IoPromises,
  promise: Promise<T>,
): Promise<T> {
  let settled = false;
  const settle = () => {
    settled = true;
    promises.touch();
  };
  promise.then(settle, settle);
  promises.touch();
  await runLoop(io, promises, { until: () => settled });
  return await promise;
}
