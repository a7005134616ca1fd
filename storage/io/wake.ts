import { openCalls } from "./libc.ts";

const ONE = 1n;

/**
 * The other thread's end of `Io.wakeFd`: ends a waiting `turn()`. The descriptor is one of this
 * process, so it may be sent to another thread as a number. Wakes that come together are one.
 */
export class Waker {
  readonly #fd: number;
  readonly #library = openCalls("write");
  readonly #count = new BigUint64Array([ONE]);
  readonly #bytes = new Uint8Array(this.#count.buffer);

  constructor(wakeFd: number) {
    this.#fd = wakeFd;
  }

  wake(): void {
    // It fails only when the counter is full, and then the other side is woken anyway.
    this.#library.symbols.write(this.#fd, this.#bytes, 8n);
  }

  close(): void {
    this.#library.close();
  }
}
