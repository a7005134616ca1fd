import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import type { Libc } from "./libc.ts";

/** CLOCK_MONOTONIC, read into memory of its own. */
export class KernelClock {
  /** What it said last, in milliseconds: a field, since a fraction that is answered is garbage. */
  timeMs = 0;
  readonly #libc: Libc;
  readonly #memory: MappedMemory;
  readonly #words: Uint32Array;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#memory = new MappedMemory(libc, 16);
    this.#words = new Uint32Array(this.#memory.buffer, 0, 4);
  }

  read(): void {
    this.#libc.call.clock_gettime(abi.CLOCK_MONOTONIC, this.#memory.pointer);
    const words = this.#words;
    const seconds = words[1]! * 2 ** 32 + words[0]!;
    this.timeMs = seconds * 1000 + words[2]! / 1e6;
  }

  discard(): void {
    this.#memory.discard();
  }
}
