/** A power of two. */
const VIEWS_MAX = 1024;

/**
 * Views of parts of an array, made once and used again. Payloads come in the same few places and
 * lengths again and again, so hardly any request makes a view of its own.
 */
export class ReusedViews {
  readonly #views: (Uint8Array | null)[] = new Array(VIEWS_MAX).fill(null);

  /** Bytes [off, off + length) of `source`. */
  of(source: Uint8Array, off: number, length: number): Uint8Array {
    // Buffers begin on multiples of 4096, and lengths are mostly multiples of 512.
    const at = (Math.floor(off / 4096) + Math.floor(length / 512) * 61) & (VIEWS_MAX - 1);
    const known = this.#views[at] ?? null;
    if (
      known !== null && known.length === length && known.buffer === source.buffer &&
      known.byteOffset === source.byteOffset + off
    ) return known;
    return this.#views[at] = source.subarray(off, off + length);
  }
}
