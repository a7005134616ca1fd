/** Something that happens at a time. */
export interface SimEvent {
  readonly atMs: number;
  /** Of asking: what is due at the same time happens in this order. */
  readonly order: number;
  readonly what: string;
  readonly run: () => void;
  cancelled: boolean;
}

/** Events by time, then by order of asking: a binary heap. */
export class EventQueue {
  readonly #heap: SimEvent[] = [];
  #order = 0;
  #cancelled = 0;

  add(atMs: number, what: string, run: () => void): SimEvent {
    const event: SimEvent = { atMs, order: this.#order++, what, run, cancelled: false };
    this.#heap.push(event);
    this.#rise(this.#heap.length - 1);
    return event;
  }

  cancel(event: SimEvent): void {
    if (event.cancelled) return;
    event.cancelled = true;
    this.#cancelled++;
    if (this.#cancelled > 1000 && this.#cancelled * 2 > this.#heap.length) this.#sweep();
  }

  /** Events that are still to happen, those that were cancelled left out. */
  get size(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** The next event's time, or Infinity. */
  get nextMs(): number {
    this.#dropCancelled();
    return this.#heap[0]?.atMs ?? Infinity;
  }

  pop(): SimEvent | null {
    this.#dropCancelled();
    const event = this.#take();
    // It has happened: cancelling it now must not count.
    if (event !== null) event.cancelled = true;
    return event;
  }

  #dropCancelled(): void {
    while (this.#heap[0]?.cancelled === true) {
      this.#take();
      this.#cancelled--;
    }
  }

  #take(): SimEvent | null {
    const first = this.#heap[0];
    if (first === undefined) return null;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink(0);
    }
    return first;
  }

  #sweep(): void {
    const left = this.#heap.filter((event) => !event.cancelled);
    this.#heap.length = 0;
    this.#cancelled = 0;
    for (const event of left) {
      this.#heap.push(event);
      this.#rise(this.#heap.length - 1);
    }
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#heap[a]!, this.#heap[b]!];
    return one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs;
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const parent = (at - 1) >> 1;
      if (!this.#before(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    for (let at = from;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < this.#heap.length && this.#before(left, least)) least = left;
      if (right < this.#heap.length && this.#before(right, least)) least = right;
      if (least === at) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #swap(a: number, b: number): void {
    [this.#heap[a], this.#heap[b]] = [this.#heap[b]!, this.#heap[a]!];
  }
}
