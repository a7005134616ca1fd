/**
 * Gathers the bytes of one field that may arrive in any number of pieces. Both negotiation state
 * machines are built on it; it is what makes them resumable at any byte.
 */
export class Collector {
  #buffer = new Uint8Array(64);
  #have = 0;
  #want = 0;
  #skip = 0;

  /** Starts a field of `length` bytes. */
  want(length: number): void {
    this.#have = 0;
    this.#want = length;
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length);
  }

  /** Starts a field whose bytes are thrown away; of any length. */
  skip(length: number): void {
    this.want(0);
    this.#skip = length;
  }

  /** The field is whole (or was skipped). */
  get complete(): boolean {
    return this.#skip === 0 && this.#have === this.#want;
  }

  /** Takes what the field still needs of bytes[from, to); returns the position behind it. */
  take(bytes: Uint8Array, from: number, to: number): number {
    if (this.#skip > 0) {
      const count = Math.min(this.#skip, to - from);
      this.#skip -= count;
      return from + count;
    }
    const count = Math.min(this.#want - this.#have, to - from);
    this.#buffer.set(bytes.subarray(from, from + count), this.#have);
    this.#have += count;
    return from + count;
  }

  /** The field's bytes; valid until the next `want`. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#want);
  }

  get view(): DataView {
    return new DataView(this.#buffer.buffer, 0, this.#want);
  }
}
