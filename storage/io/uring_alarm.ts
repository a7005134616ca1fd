import { MappedMemory } from "./arena.ts";
import type { Libc } from "./libc.ts";

/**
 * What ends a sleep for a timer: a timeout that stays in the ring until it rings. One with each
 * `io_uring_enter` would have the kernel start and stop a timer for each sleep, and would need the
 * clock first, since it is relative; that was a tenth of what a request at depth 1 costs. It is
 * never moved: when it rings too early the next sleep sets it anew, and a sleep that it would end
 * too late has a timeout of its own.
 */
export class Alarm {
  readonly #time: MappedMemory;
  /** When it rings, by the monotonic clock; Infinity: it is not set. */
  #atMs = Infinity;

  constructor(libc: Libc) {
    this.#time = new MappedMemory(libc, 16);
  }

  /** Of its struct timespec. */
  get address(): number {
    return this.#time.address;
  }

  get isSet(): boolean {
    return this.#atMs !== Infinity;
  }

  /** It ends a sleep at `untilMs` or before; a sleep without an end needs none. */
  covers(untilMs: number): boolean {
    return this.#atMs <= untilMs;
  }

  /** Fills its time in; the kernel reads that when it takes the submission. */
  set(atMs: number): void {
    this.#atMs = atMs;
    const seconds = Math.floor(atMs / 1000);
    const { words } = this.#time;
    words[0] = seconds | 0;
    words[1] = (seconds / 2 ** 32) | 0;
    words[2] = Math.min(999_999_999, Math.ceil((atMs - seconds * 1000) * 1e6));
    words[3] = 0;
  }

  rang(): void {
    this.#atMs = Infinity;
  }

  close(): void {
    this.#time.discard();
  }
}
