/**
 * Which bytes of a range were filled, where pieces come in any order and may not overlap: how a
 * client holds a structured reply to what the protocol allows. What touches becomes one, so pieces
 * in order need one run; scattered ones need as many as there are gaps, up to a limit. Reused: it
 * allocates while it grows to what it once needed, and no more.
 */
export class Coverage {
  readonly #runsMax: number;
  /** Begin and end of each run, ascending. */
  readonly #edges: number[] = [];
  #count = 0;
  #begin = 0;
  #end = 0;

  constructor(options: { readonly runsMax: number }) {
    this.#runsMax = options.runsMax;
  }

  /** Begins anew for [begin, end). */
  reset(begin: number, end: number): void {
    this.#begin = begin;
    this.#end = end;
    this.#count = 0;
  }

  /** Every byte was filled. */
  get isWhole(): boolean {
    if (this.#begin === this.#end) return true;
    return this.#count === 1 && this.#edges[0] === this.#begin && this.#edges[1] === this.#end;
  }

  /** Fills [from, to), which is not empty; why that is not allowed, or null when it is. */
  add(from: number, to: number): "outside" | "overlapping" | "scattered" | null {
    if (from < this.#begin || to > this.#end) return "outside";
    const edges = this.#edges;
    let at = 0;
    while (at < this.#count && edges[2 * at + 1]! < from) at++;
    // The run at `at` is the first that ends at or behind `from`.
    const touchesBefore = at < this.#count && edges[2 * at + 1] === from;
    const next = touchesBefore ? at + 1 : at;
    if (next < this.#count && edges[2 * next]! < to) return "overlapping";
    const touchesNext = next < this.#count && edges[2 * next] === to;
    if (touchesBefore && touchesNext) {
      edges[2 * at + 1] = edges[2 * next + 1]!;
      this.#remove(next);
    } else if (touchesBefore) {
      edges[2 * at + 1] = to;
    } else if (touchesNext) {
      edges[2 * next] = from;
    } else {
      if (this.#count === this.#runsMax) return "scattered";
      this.#insert(at, from, to);
    }
    return null;
  }

  #insert(at: number, from: number, to: number): void {
    const edges = this.#edges;
    for (let i = this.#count; i > at; i--) {
      edges[2 * i] = edges[2 * i - 2]!;
      edges[2 * i + 1] = edges[2 * i - 1]!;
    }
    edges[2 * at] = from;
    edges[2 * at + 1] = to;
    this.#count++;
  }

  #remove(at: number): void {
    this.#count--;
    for (let i = at; i < this.#count; i++) {
      this.#edges[2 * i] = this.#edges[2 * i + 2]!;
      this.#edges[2 * i + 1] = this.#edges[2 * i + 3]!;
    }
  }
}
