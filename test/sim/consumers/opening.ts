import { type ClientEvent, ClientNegotiation } from "../../../protocol/nbd/client_negotiation.ts";
import { errnoName } from "../../../storage/io/errno.ts";
import type { Handle, Io } from "../../../storage/io/io.ts";
import { Operation } from "../../../storage/io/operation.ts";

export type Opened =
  | { readonly kind: "open"; readonly handle: Handle; readonly sizeBytes: number }
  | { readonly kind: "failed"; readonly reason: string };

const OUTPUT_BYTES_MAX = 4096;

/** A consumer's way to an export on a Unix socket: connect, negotiate, GO. */
export class Opening {
  readonly #io: Io;
  readonly #done: (opened: Opened) => void;
  readonly #negotiation = new ClientNegotiation();
  readonly #buffer: number;
  readonly #connect = new Operation((operation) => this.#connected(operation.result));
  readonly #send = new Operation((operation) => this.#sent(operation.result));
  readonly #receive = new Operation((operation) => this.#received(operation));
  #handle: Handle = -1;
  #isOver = false;

  constructor(io: Io, path: string, done: (opened: Opened) => void) {
    this.#io = io;
    this.#done = done;
    this.#buffer = io.buffers.take(OUTPUT_BYTES_MAX);
    io.connectUnix(this.#connect, path);
  }

  #connected(result: number): void {
    if (result < 0) return this.#fail(`cannot connect: ${errnoName(result)}`);
    this.#handle = result;
    this.#io.receive(this.#receive, result);
  }

  #received(operation: Operation): void {
    const { off, result } = operation;
    if (result <= 0) return this.#fail(`the agent ended the negotiation (${result})`);
    let at = off;
    for (;;) {
      at = this.#negotiation.consume(this.#io.bytes, at, off + result);
      const event = this.#negotiation.event;
      if (event === null) break;
      if (this.#act(event)) break;
    }
    this.#io.buffers.release(off);
    this.#sendOutput();
    if (!this.#isOver) this.#io.receive(this.#receive, this.#handle);
  }

  /** True when it is over. */
  #act(event: ClientEvent): boolean {
    if (event.kind === "greeted") {
      this.#negotiation.go("");
      return false;
    }
    this.#isOver = true;
    if (event.kind === "ready") {
      this.#io.buffers.release(this.#buffer);
      this.#done({ kind: "open", handle: this.#handle, sizeBytes: event.info.sizeBytes });
    } else {
      this.#fail(`the agent refused: ${JSON.stringify(event)}`);
    }
    return true;
  }

  #sendOutput(): void {
    if (this.#isOver || this.#send.busy) return;
    let length = 0;
    for (const part of this.#negotiation.takeOutput()) {
      this.#io.bytes.set(part, this.#buffer + length);
      length += part.length;
    }
    if (length > 0) this.#io.send(this.#send, this.#handle, this.#buffer, length);
  }

  #sent(result: number): void {
    if (result < 0) return this.#fail(`sending failed: ${errnoName(result)}`);
    this.#sendOutput();
  }

  #fail(reason: string): void {
    if (this.#handle >= 0) this.#io.close(this.#handle);
    this.#isOver = true;
    this.#done({ kind: "failed", reason });
  }
}
