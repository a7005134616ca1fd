import { SIMPLE_REPLY_BYTES, SIMPLE_REPLY_MAGIC } from "./constants.ts";
import type { ByteSource } from "./request.ts";

/**
 * Simple replies as a client reads them. The payload after a READ's reply is the owner's to take:
 * only it knows how long the answered request was. Reading allocates nothing.
 */
export class ReplyReader {
  /** 0 or a WIRE_ERROR; another server may send any number. */
  error = 0;
  cookieHigh = 0;
  cookieLow = 0;
  /** A whole header is in the fields; set back by `next`. */
  complete = false;
  /** The stream does not hold a reply where one must begin; it can only be closed. */
  broken = false;

  readonly #partial = new Uint8Array(SIMPLE_REPLY_BYTES);
  readonly #partialView = new DataView(this.#partial.buffer);
  #have = 0;

  /** Makes ready for the next header; the owner has taken the payload between. */
  next(): void {
    this.complete = false;
  }

  /** Takes bytes until a header is complete, or all; the position of the first byte not taken. */
  take(source: ByteSource, from: number, to: number): number {
    if (this.#have === 0 && to - from >= SIMPLE_REPLY_BYTES) {
      this.#read(source.view, from);
      return from + SIMPLE_REPLY_BYTES;
    }
    const count = Math.min(SIMPLE_REPLY_BYTES - this.#have, to - from);
    this.#partial.set(source.bytes.subarray(from, from + count), this.#have);
    this.#have += count;
    if (this.#have === SIMPLE_REPLY_BYTES) {
      this.#have = 0;
      this.#read(this.#partialView, 0);
    }
    return from + count;
  }

  #read(view: DataView, at: number): void {
    if (view.getUint32(at) !== SIMPLE_REPLY_MAGIC) {
      this.broken = true;
      return;
    }
    this.error = view.getUint32(at + 4);
    this.cookieHigh = view.getUint32(at + 8);
    this.cookieLow = view.getUint32(at + 12);
    this.complete = true;
  }
}
