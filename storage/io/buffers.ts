import { assert, AssertionError } from "../../protocol/core/assert.ts";
import type { ArenaOptions, Buffers, BufferUser, BufferWaiter, Off } from "./io.ts";
import { RECEIVE_BUFFER_BYTES } from "./io.ts";
import { RECEIVE_BUFFERS } from "../../protocol/core/limits.ts";

/** Buffers start on multiples of this, so that they suit O_DIRECT. */
const ALIGNMENT_BYTES = 4096;
/** What a byte counts to. */
const KEEPS_MAX = 255;
/** Of so many buffers one is kept for users that have none. */
const RESERVED_OF = 16;

interface Waiting {
  readonly waiter: BufferWaiter;
  readonly user: BufferUser | null;
}

/** Buffers of one size, side by side in the arena. */
class Pool {
  readonly bytes: number;
  readonly strideBytes: number;
  readonly count: number;
  readonly start: Off;
  readonly end: Off;
  readonly #class: number;
  /** Buffers that only users without any get: many users' shares add up to nearly all. */
  readonly #reserved: number;
  readonly #free: Int32Array;
  readonly #out: Uint8Array;
  /** How often each is kept; one that is kept is not free, also when it is not out. */
  readonly #keeps: Uint8Array;
  /** Buffers that are kept. */
  #keptCount = 0;
  readonly #users: (BufferUser | null)[] = [];
  #freeCount: number;
  waiters: Waiting[] = [];

  constructor(options: { bytes: number; count: number; start: Off; class: number }) {
    this.#class = options.class;
    this.bytes = options.bytes;
    this.count = options.count;
    this.#reserved = Math.floor(this.count / RESERVED_OF);
    this.start = options.start;
    this.strideBytes = Math.ceil(options.bytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
    this.end = this.start + this.strideBytes * this.count;
    this.#free = new Int32Array(this.count);
    this.#out = new Uint8Array(this.count);
    this.#keeps = new Uint8Array(this.count);
    this.#freeCount = this.count;
    for (let i = 0; i < this.count; i++) this.#free[i] = this.count - 1 - i;
  }

  take(user: BufferUser | null): Off {
    if (!this.#hasFor(user)) return -1;
    const index = this.#free[--this.#freeCount]!;
    this.#out[index] = 1;
    this.#users[index] = user;
    if (user !== null) user.held[this.#class] = (user.held[this.#class] ?? 0) + 1;
    return this.start + index * this.strideBytes;
  }

  /** The first waiter that may have a buffer now, out of the line; null when there is none. */
  nextWaiter(): Waiting | null {
    if (this.#freeCount === 0 || this.waiters.length === 0) return null;
    const at = this.waiters.findIndex(({ user }) => this.#hasFor(user));
    return at < 0 ? null : this.waiters.splice(at, 1)[0]!;
  }

  #hasFor(user: BufferUser | null): boolean {
    const held = user?.held[this.#class] ?? 0;
    return this.#freeCount > held && (held === 0 || this.#freeCount > this.#reserved);
  }

  isOut(off: Off): boolean {
    return this.#out[this.#indexOf(off)] === 1;
  }

  /** Marks a buffer taken or free that is not in the list of free ones: the kernel holds it. */
  mark(off: Off, out: boolean): void {
    this.#out[this.#indexOf(off)] = out ? 1 : 0;
  }

  get outCount(): number {
    return this.#out.reduce((count, one) => count + one, 0);
  }

  /** Whether it is free now: what is kept becomes so later. */
  give(off: Off): boolean {
    const index = this.#indexOf(off);
    this.#out[index] = 0;
    const user = this.#users[index] ?? null;
    this.#users[index] = null;
    if (user !== null) user.held[this.#class]!--;
    return this.#freeIfUnused(index);
  }

  keep(within: Off): boolean {
    const index = this.#indexAround(within);
    assert(this.#out[index] === 1, "only a buffer that is out can be kept");
    const keeps = this.#keeps[index]!;
    if (keeps === 0) {
      if (this.#keptCount * 2 >= this.count) return false;
      this.#keptCount++;
    } else if (keeps === KEEPS_MAX) return false;
    this.#keeps[index] = keeps + 1;
    return true;
  }

  /** Whether it is free now. */
  unkeep(within: Off): boolean {
    const index = this.#indexAround(within);
    const keeps = this.#keeps[index]!;
    assert(keeps > 0, "a buffer is let go as often as it was kept");
    this.#keeps[index] = keeps - 1;
    if (keeps > 1) return false;
    this.#keptCount--;
    return this.#freeIfUnused(index);
  }

  #freeIfUnused(index: number): boolean {
    if (this.#out[index] === 1 || this.#keeps[index]! > 0) return false;
    this.#free[this.#freeCount++] = index;
    return true;
  }

  #indexAround(off: Off): number {
    return ((off - this.start) / this.strideBytes) | 0;
  }

  #indexOf(off: Off): number {
    // A whole number from the start: a fraction would be garbage.
    const index = ((off - this.start) / this.strideBytes) | 0;
    const isStart = this.start + index * this.strideBytes === off;
    assert(isStart && index >= 0 && index < this.count, "an offset is a buffer's");
    return index;
  }
}

/**
 * The arena's buffers in size classes. A request gets the smallest class that is large enough and
 * never spills into a larger one, so that the few large buffers stay there for large payloads.
 * The buffers that `receive` chooses are a pool of their own.
 */
export class ArenaBuffers implements Buffers {
  readonly sizeBytes: number;
  readonly receiveStart: Off;
  readonly receiveCount: number;
  /** Runs when a receive buffer became free (not with `lendReceive`). */
  onReceiveFree: (() => void) | null = null;
  /** Hears of each buffer that is released, with its size. For the adapters only. */
  released: ((off: Off, length: number) => void) | null = null;
  readonly #pools: readonly Pool[];
  readonly #receive: Pool;
  #lender: ((off: Off) => void) | null = null;
  #taken = 0;

  constructor(options: ArenaOptions) {
    const pools: Pool[] = [];
    let start = 0;
    for (const { bytes, count } of [...options.classes].sort((a, b) => a.bytes - b.bytes)) {
      assert(bytes > 0 && count > 0, "a size class has bytes and buffers");
      const pool = new Pool({ bytes, count, start, class: pools.length });
      start = pool.end;
      pools.push(pool);
    }
    this.#pools = pools;
    this.receiveStart = start;
    this.receiveCount = options.receiveBuffers ?? RECEIVE_BUFFERS;
    this.#receive = new Pool({
      bytes: RECEIVE_BUFFER_BYTES,
      count: this.receiveCount,
      start,
      class: pools.length,
    });
    this.sizeBytes = this.#receive.end;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Of those, how many were not released yet: the others are only kept. Looks at them all. */
  get out(): number {
    return this.#pools.reduce((count, pool) => count + pool.outCount, this.#receive.outCount);
  }

  take(length: number, user: BufferUser | null = null): Off {
    const off = this.#poolFor(length).take(user);
    if (off >= 0) this.#taken++;
    return off;
  }

  wait(length: number, waiter: BufferWaiter, user: BufferUser | null = null): void {
    const pool = this.#poolFor(length);
    const off = pool.take(user);
    if (off < 0) {
      pool.waiters.push({ waiter, user });
      return;
    }
    this.#taken++;
    waiter.run(off);
  }

  withdraw(waiter: BufferWaiter): void {
    for (const pool of this.#pools) {
      const at = pool.waiters.findIndex((waiting) => waiting.waiter === waiter);
      if (at >= 0) pool.waiters.splice(at, 1);
    }
  }

  release(off: Off): void {
    const pool = this.#poolAt(off);
    assert(pool.isOut(off), "a buffer is released once");
    if (pool !== this.#receive) {
      this.released?.(off, pool.bytes);
      if (pool.give(off)) this.#freed(pool);
      return;
    }
    this.#taken--;
    if (this.#lender === null) {
      pool.give(off);
      this.onReceiveFree?.();
    } else {
      pool.mark(off, false);
      this.#lender(off);
    }
  }

  keep(within: Off, length: number): boolean {
    const pool = this.#poolAt(within);
    // Mostly empty ones are dearer to keep than what is in them is to copy.
    if (pool === this.#receive || length * 2 < pool.bytes) return false;
    return pool.keep(within);
  }

  unkeep(within: Off): void {
    const pool = this.#poolAt(within);
    if (pool.unkeep(within)) this.#freed(pool);
  }

  #freed(pool: Pool): void {
    this.#taken--;
    this.#serve(pool);
  }

  /** Hands out what became free, in order of asking among those who may have it. */
  #serve(pool: Pool): void {
    for (let next = pool.nextWaiter(); next !== null; next = pool.nextWaiter()) {
      const off = pool.take(next.user);
      this.#taken++;
      next.waiter.run(off);
    }
  }

  sizeOf(off: Off): number {
    return this.#poolAt(off).bytes;
  }

  /** A buffer for `receive`, or -1. For the adapters only. */
  takeReceive(): Off {
    const off = this.#receive.take(null);
    if (off >= 0) this.#taken++;
    return off;
  }

  /**
   * Hands every receive buffer to `lender` now, and each again when it is released: the kernel
   * chooses among them, and says so with `chosen`. For the uring only.
   */
  lendReceive(lender: (off: Off) => void): void {
    this.#lender = lender;
    const { start, strideBytes } = this.#receive;
    for (let i = 0; i < this.receiveCount; i++) lender(start + i * strideBytes);
  }

  chosen(off: Off): void {
    this.#receive.mark(off, true);
    this.#taken++;
  }

  #poolFor(length: number): Pool {
    for (const pool of this.#pools) if (pool.bytes >= length) return pool;
    throw new AssertionError(`no size class holds ${length} bytes`);
  }

  #poolAt(off: Off): Pool {
    if (off >= this.receiveStart) {
      assert(off < this.sizeBytes, "a buffer lies in the arena");
      return this.#receive;
    }
    for (const pool of this.#pools) if (off < pool.end) return pool;
    throw new AssertionError(`no buffer at ${off}`);
  }
}
