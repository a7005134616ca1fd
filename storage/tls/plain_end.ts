import { Socket } from "node:net";
import { TLS_PLAIN_BYTES, TLS_PLAIN_IDLE_BYTES } from "../../protocol/core/limits.ts";

/** Buffers that may be on their way to the peer; one more is being read into. */
const IN_USE_MAX = 2;

/**
 * The socket pair's end by which the data worker says and hears plaintext. It is read into buffers
 * that are used again: with a new one for each read the collector ran thirty times a second. They
 * are this connection's alone, and small ones while it says little.
 */
export class PlainEnd {
  readonly socket: Socket;
  readonly #small: Uint8Array[] = [];
  readonly #large: Uint8Array[] = [];
  #saysMuch = false;
  #inUse = 0;
  #isHeld = false;
  #said: ((bytes: Uint8Array, done: () => void) => void) | null = null;

  constructor(fd: number) {
    this.socket = new Socket({
      fd,
      readable: true,
      writable: true,
      allowHalfOpen: true,
      onread: {
        buffer: () => this.#free(),
        callback: (length, buffer) => this.#read(buffer as Uint8Array, length),
      },
    });
  }

  /**
   * Who gets what is said from now on, and calls `done` once it uses the bytes no more. Before
   * there is anybody, what is said is thrown away.
   */
  forward(said: ((bytes: Uint8Array, done: () => void) => void) | null): void {
    this.#said = said;
    this.socket.resume();
  }

  /** The next one to read into. */
  #free(): Uint8Array {
    if (this.#saysMuch) return this.#large.pop() ?? new Uint8Array(TLS_PLAIN_BYTES);
    this.#large.length = 0;
    return this.#small.pop() ?? new Uint8Array(TLS_PLAIN_IDLE_BYTES);
  }

  /** Answers whether to read on. */
  #read(buffer: Uint8Array, length: number): boolean {
    const free = buffer.length === TLS_PLAIN_BYTES ? this.#large : this.#small;
    this.#saysMuch = length >= TLS_PLAIN_IDLE_BYTES;
    if (this.#said === null) {
      free.push(buffer);
      return true;
    }
    this.#inUse++;
    this.#said(buffer.subarray(0, length), () => {
      this.#inUse--;
      free.push(buffer);
      if (!this.#isHeld) return;
      this.#isHeld = false;
      this.socket.resume();
    });
    this.#isHeld = this.#inUse >= IN_USE_MAX;
    return !this.#isHeld;
  }
}
