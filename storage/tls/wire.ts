import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { TLS_WIRE_BYTES } from "../../protocol/core/limits.ts";

/**
 * The socket to the peer as a stream that the TLS library reads and writes ciphertext by. Given the
 * socket itself, the runtime's library goes on reading it while nobody takes the plaintext, without
 * a bound (Deno 2.9.6); from this it gets nothing while it is held.
 */
export class Wire extends Duplex {
  readonly #network: Socket;
  #isHeld = false;

  constructor(network: Socket) {
    super({
      allowHalfOpen: true,
      readableHighWaterMark: TLS_WIRE_BYTES,
      writableHighWaterMark: TLS_WIRE_BYTES,
    });
    this.#network = network;
    network.on("data", (chunk: Uint8Array) => {
      if (!this.push(chunk) || this.#isHeld) network.pause();
    });
    network.on("end", () => this.push(null));
    network.on("error", (error: Error) => this.destroy(error));
    network.on("close", () => this.destroy());
  }

  /** Reads no more than what was read already. */
  hold(): void {
    this.#isHeld = true;
    this.#network.pause();
  }

  release(): void {
    this.#isHeld = false;
    this.#network.resume();
  }

  override _read(): void {
    if (!this.#isHeld) this.#network.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void) {
    this.#network.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#network.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#network.destroy();
    done(error);
  }
}
