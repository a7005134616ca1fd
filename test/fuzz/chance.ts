/** Small, fast, seeded choices for fuzz runs; the same seed gives the same choices. */
export class Chance {
  readonly seed: number;
  #state: number;

  /** `seed` is taken modulo 2^32. */
  constructor(seed: number) {
    this.seed = seed >>> 0;
    this.#state = this.seed;
  }

  /** 0 up to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.#next() / 2 ** 32 * bound);
  }

  /** Both ends included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let at = 0; at < count; at++) bytes[at] = this.below(256);
    return bytes;
  }

  /** Numbers where widths and signs end, and others. */
  number(bound: number): number {
    const edges = [0, 1, 2, 255, 256, 511, 512, 4096, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31];
    const edge = this.pick([...edges, bound - 1, bound, 2 ** 32 - 1]);
    return this.oneIn(3) ? edge : this.below(bound);
  }

  /** A copy that was flipped, cut, lengthened, overwritten or doubled somewhere. */
  bend(bytes: Uint8Array): Uint8Array {
    const at = this.below(bytes.length + 1);
    const rest = bytes.subarray(at);
    switch (this.below(5)) {
      case 0: {
        const copy = bytes.slice();
        if (at < copy.length) copy[at]! ^= 1 << this.below(8);
        return copy;
      }
      case 1:
        return bytes.slice(0, at);
      case 2:
        return join(bytes.subarray(0, at), this.bytes(this.between(1, 20)), rest);
      case 3: {
        const copy = bytes.slice();
        copy.set(this.bytes(Math.min(4, rest.length)), at);
        return copy;
      }
      default:
        return join(bytes.subarray(0, at), rest, rest);
    }
  }

  /** Where to cut `length` bytes: ends of pieces, the last one is `length`. */
  cuts(length: number): number[] {
    // A long stream is not cut into single bytes: that takes long and shows no more.
    const most = Math.max(this.pick([1, 3, 28, 100, 4096, 65_536]), Math.ceil(length / 1000));
    const ends: number[] = [];
    for (let at = 0; at < length;) {
      at = Math.min(length, at + this.between(1, most));
      ends.push(at);
    }
    return ends;
  }

  /** mulberry32. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
