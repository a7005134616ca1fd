/** Objects that are made when first needed and used again and again. */
export class Pool<T> {
  readonly #make: () => T;
  readonly #free: T[] = [];

  constructor(make: () => T) {
    this.#make = make;
  }

  take(): T {
    return this.#free.pop() ?? this.#make();
  }

  release(item: T): void {
    this.#free.push(item);
  }
}
