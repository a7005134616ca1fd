import type { Handle } from "../../storage/io/io.ts";
import { Operation } from "../../storage/io/operation.ts";
import type { SimIo } from "../../storage/io/sim.ts";
import type { Chance } from "./chance.ts";
import type { Script } from "./nbd_script.ts";

/** Of a size class that no server's request has. */
const PIECE_BYTES = 128 * 1024;

const DISCONNECT_BYTES = 28;

/** Sends a script in pieces, hears everything, and closes when a broken script is said. */
export class ScriptedClient {
  readonly #io: SimIo;
  readonly #handle: Handle;
  readonly #script: Script;
  readonly #ends: number[];
  readonly #off: number;
  readonly #receive = new Operation(() => this.#received());
  readonly #send = new Operation(() => this.#sent());
  #at = 0;
  #isWaiting = false;
  #ended = false;
  #isSaid = false;
  #closed = false;

  constructor(io: SimIo, options: { handle: Handle; script: Script; chance: Chance }) {
    this.#io = io;
    this.#handle = options.handle;
    this.#script = options.script;
    const { length } = options.script.bytes;
    const said = options.chance.cuts(length - DISCONNECT_BYTES);
    this.#ends = [...said, length]
      .flatMap((end, index, ends) => this.#parts(ends[index - 1] ?? 0, end));
    this.#off = io.buffers.take(PIECE_BYTES);
    io.receive(this.#receive, this.#handle);
    this.#next();
  }

  /** It has nothing left to say or hear. */
  get isOver(): boolean {
    return this.#ended && !this.#send.busy || (this.#isSaid && this.#script.isBroken);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#io.close(this.#handle);
    this.#io.buffers.release(this.#off);
  }

  /** No piece is larger than the buffer that it is sent from. */
  #parts(from: number, to: number): number[] {
    const ends: number[] = [];
    for (let at = from; at < to;) ends.push(at = Math.min(to, at + PIECE_BYTES));
    return ends;
  }

  #next(): void {
    // Goodbye comes last: nothing that a request waits for may depend on more bytes.
    const isHearing = !this.#script.isAllHeard;
    this.#isWaiting = this.#ends.length === 1 && isHearing && !this.#script.isBroken &&
      !this.#ended;
    if (this.#isWaiting) return;
    const end = this.#ends.shift();
    if (end === undefined || this.#ended) {
      this.#isSaid = true;
      // Others must not wait for what it holds and does not go on with.
      if (this.#script.isBroken) this.#io.shutdown(this.#handle);
      return;
    }
    const piece = this.#script.bytes.subarray(this.#at, end);
    this.#at = end;
    this.#io.bytes.set(piece, this.#off);
    this.#io.send(this.#send, this.#handle, this.#off, piece.length);
  }

  #sent(): void {
    if (this.#send.result < 0) this.#isSaid = true;
    else this.#next();
  }

  #received(): void {
    const { result, off } = this.#receive;
    if (result <= 0) {
      this.#ended = true;
      return;
    }
    // What a broken client hears need not make sense to it.
    if (!this.#script.isBroken) this.#script.heard.take(this.#io.bytes.slice(off, off + result));
    this.#io.buffers.release(off);
    if (this.#isWaiting) this.#next();
    this.#io.receive(this.#receive, this.#handle);
  }
}
