import { concat, viewOf } from "../../protocol/core/bytes.ts";
import { ReplyReader } from "../../protocol/nbd/reply.ts";

/** One reply of a server, or one chunk of it. */
export interface HeardReply {
  readonly cookie: number;
  /** CHUNK, or -1 for a simple reply. */
  readonly type: number;
  readonly isLast: boolean;
  readonly error: number;
  readonly offset: number;
  readonly holeBytes: number;
  readonly data: Uint8Array;
}

/** Takes what a server says behind negotiation apart, as it comes. */
export class HeardReplies {
  readonly replies: HeardReply[] = [];
  /** Why it cannot be a server's. */
  broken: string | null = null;
  readonly #structuredReplies: boolean;
  readonly #simpleDataBytes: (cookie: number) => number;
  #pending: Uint8Array = new Uint8Array(0);
  #skip: number;

  constructor(o: {
    readonly negotiationBytes: number;
    readonly structuredReplies: boolean;
    /** What follows a simple reply without error. */
    readonly simpleDataBytes: (cookie: number) => number;
  }) {
    this.#skip = o.negotiationBytes;
    this.#structuredReplies = o.structuredReplies;
    this.#simpleDataBytes = o.simpleDataBytes;
  }

  /** Nothing was heard of a reply that is not whole. */
  get isBetween(): boolean {
    return this.#pending.length === 0 && this.#skip === 0;
  }

  take(bytes: Uint8Array): void {
    const skipped = Math.min(this.#skip, bytes.length);
    this.#skip -= skipped;
    this.#pending = concat(this.#pending, bytes.subarray(skipped));
    let at = 0;
    for (let end = at; this.broken === null; at = end) {
      end = this.#next(at);
      if (end < 0) break;
    }
    this.#pending = this.#pending.slice(at);
  }

  /** Takes the reply at `at`; its end, or -1 when it is not whole. */
  #next(at: number): number {
    const bytes = this.#pending;
    const reader = new ReplyReader({ structuredReplies: this.#structuredReplies });
    const begin = reader.take({ bytes, view: viewOf(bytes) }, at, bytes.length);
    this.broken = reader.broken;
    if (!reader.complete || this.broken !== null) return -1;
    const { type, isLast, error, offset, holeBytes, cookieLow: cookie } = reader;
    const simple = type === -1 && error === 0 ? this.#simpleDataBytes(cookie) : 0;
    const end = begin + reader.dataBytes + simple;
    if (end > bytes.length) return -1;
    const data = bytes.slice(begin, end);
    this.replies.push({ cookie, type, isLast, error, offset, holeBytes, data });
    return end;
  }
}
