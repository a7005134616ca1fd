import type { Off } from "./io.ts";
import type { UringBuffers } from "./uring_buffers.ts";

/**
 * Which of the free receive buffers the kernel has. It fills them in the order in which it got
 * them, so if it had them all, each receive would go to the one that was used longest ago and has
 * left the processor's caches. So it has one for each receive that waits, and of the others the
 * one that was used last comes next.
 */
export class LentBuffers {
  readonly #kernel: Pick<UringBuffers, "lend">;
  /** Those that it does not have, a stack. */
  readonly #rest: Float64Array;
  #restCount = 0;
  #lent = 0;
  /** Receives that the kernel has. */
  #asking = 0;

  constructor(kernel: Pick<UringBuffers, "lend">, count: number) {
    this.#kernel = kernel;
    this.#rest = new Float64Array(count);
  }

  /** Buffers that nobody has filled, wherever they are. */
  get free(): number {
    return this.#lent + this.#restCount;
  }

  /** The kernel gets one more receive. */
  asks(): void {
    this.#asking++;
    this.#settle();
  }

  /** The kernel has answered one; `chose`: it has filled a buffer. */
  answered(chose: boolean): void {
    this.#asking--;
    if (chose) this.#lent--;
  }

  /** One that the kernel does not have, or -1. */
  take(): Off {
    return this.#restCount === 0 ? -1 : this.#rest[--this.#restCount]!;
  }

  put(off: Off): void {
    this.#rest[this.#restCount++] = off;
    this.#settle();
  }

  #settle(): void {
    if (this.#lent >= this.#asking || this.#restCount === 0) return;
    this.#lent++;
    this.#kernel.lend(this.#rest[--this.#restCount]!);
  }
}
