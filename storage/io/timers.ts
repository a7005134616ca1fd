import type { Operation } from "./operation.ts";

/**
 * Timers as a binary heap by deadline, then by order of asking. `ioSlot` of a waiting operation is
 * its place in the heap, which makes cancelling cheap.
 */
export class TimerHeap {
  readonly #operations: Operation[] = [];
  readonly #deadlines: number[] = [];
  readonly #orders: number[] = [];
  #order = 0;

  /** Milliseconds of the first deadline, or Infinity. */
  get nextMs(): number {
    return this.#deadlines[0] ?? Infinity;
  }

  has(operation: Operation): boolean {
    return operation.ioSlot >= 0 && this.#operations[operation.ioSlot] === operation;
  }

  add(operation: Operation, deadlineMs: number): void {
    const at = this.#operations.length;
    this.#operations.push(operation);
    this.#deadlines.push(deadlineMs);
    this.#orders.push(this.#order++);
    operation.ioSlot = at;
    this.#rise(at);
  }

  remove(operation: Operation): void {
    const at = operation.ioSlot;
    const last = this.#operations.length - 1;
    if (at !== last) this.#swap(at, last);
    this.#operations.pop();
    this.#deadlines.pop();
    this.#orders.pop();
    operation.ioSlot = -1;
    if (at < last) {
      this.#rise(at);
      this.#sink(at);
    }
  }

  /** Removes and answers the first operation whose deadline has come, or null. */
  takeDue(nowMs: number): Operation | null {
    const first = this.#operations[0];
    if (first === undefined || this.#deadlines[0]! > nowMs) return null;
    this.remove(first);
    return first;
  }

  #before(a: number, b: number): boolean {
    const difference = this.#deadlines[a]! - this.#deadlines[b]!;
    return difference === 0 ? this.#orders[a]! < this.#orders[b]! : difference < 0;
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    const count = this.#operations.length;
    let at = from;
    for (;;) {
      let least = at;
      const left = 2 * at + 1;
      if (left < count && this.#before(left, least)) least = left;
      if (left + 1 < count && this.#before(left + 1, least)) least = left + 1;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    swapIn(this.#operations, a, b);
    swapIn(this.#deadlines, a, b);
    swapIn(this.#orders, a, b);
    this.#operations[a]!.ioSlot = a;
    this.#operations[b]!.ioSlot = b;
  }
}

function swapIn<T>(list: T[], a: number, b: number): void {
  const kept = list[a]!;
  list[a] = list[b]!;
  list[b] = kept;
}
