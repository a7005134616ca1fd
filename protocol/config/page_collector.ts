import { concat } from "../core/bytes.ts";
import { revisionOf } from "./body.ts";
import { PAGE_BYTES } from "./packet.ts";

/** What names the body that a page belongs to. */
export interface PageName {
  readonly page: number;
  readonly pages: number;
  readonly revision: string;
}

/** Puts the pages of one body together, in any order. */
export class PageCollector {
  readonly pages: number;
  readonly revision: string;
  readonly #parts: (Uint8Array | null)[];
  #missing: number;

  constructor(o: { pages: number; revision: string }) {
    this.pages = o.pages;
    this.revision = o.revision;
    this.#parts = new Array(o.pages).fill(null);
    this.#missing = o.pages;
  }

  get complete(): boolean {
    return this.#missing === 0;
  }

  has(page: number): boolean {
    return this.#parts[page] !== null;
  }

  /** Whether the page belongs here; a repeat is ignored. All pages but the last are full. */
  add(name: PageName, bytes: Uint8Array): boolean {
    if (name.pages !== this.pages || name.revision !== this.revision) return false;
    const last = name.page === this.pages - 1;
    if (last ? bytes.length > PAGE_BYTES : bytes.length !== PAGE_BYTES) return false;
    if (last && this.pages > 1 && bytes.length === 0) return false;
    if (!this.has(name.page)) {
      this.#parts[name.page] = bytes;
      this.#missing--;
    }
    return true;
  }

  /** The body once it is complete, or null when it is not what its revision names. */
  body(): Uint8Array | null {
    const body = concat(...this.#parts.filter((part) => part !== null));
    return revisionOf(body) === this.revision ? body : null;
  }
}
