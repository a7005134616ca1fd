import { AssertionError } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import { DvsanError, toPlainError } from "../core/errors.ts";
import {
  ANSWER_BODY_BYTES_MAX,
  HANDLING_PER_PEER_MAX,
  REQUEST_BODY_BYTES_MAX,
} from "../core/limits.ts";
import type { Log } from "../core/log.ts";
import { AnswerBook, type Entry } from "./answer_book.ts";
import type { Message } from "./asking.ts";
import { Refusal } from "./bodies.ts";
import { decodeBody, encodeBody, type PagedBody, pagesOf } from "./body.ts";
import type { Counters } from "./counters.ts";
import type { Handlers } from "./link.ts";
import { NO_REVISION, type Packet, PAGE_BYTES } from "./packet.ts";
import { type RequestName, REQUESTS } from "./requests.ts";

export interface AnswererOptions<From> {
  readonly clock: Clock;
  readonly log: Log;
  readonly counters: Counters;
  readonly handlers: Handlers<From>;
  /** Why this peer may not send this request, or null. */
  readonly forbidden: (name: RequestName, from: From) => string | null;
  /** Seals for the peer's newest session; does nothing when it has none. */
  readonly send: (peer: string, message: Message, plaintext: Uint8Array) => void;
}

const NOTHING = new Uint8Array(0);
const REQUEST_PAGES_MAX = Math.ceil(REQUEST_BODY_BYTES_MAX / PAGE_BYTES);
const REFUSAL_CHARACTERS_MAX = 4096;

/**
 * Answers the requests of all peers: puts their pages together, runs each request's handler once,
 * and gives its answer to every repeat of it.
 */
export class Answerer<From> {
  readonly #o: AnswererOptions<From>;
  readonly #book: AnswerBook;

  constructor(o: AnswererOptions<From>) {
    this.#o = o;
    this.#book = new AnswerBook(o.clock);
  }

  /** A packet of `peer` (its id) that was opened and is a request or asks for a page. */
  onRequest(o: { peer: string; from: From; packet: Packet; plaintext: Uint8Array }): void {
    const { peer, packet } = o;
    const entry = this.#book.find(peer, packet.correlation);
    if (entry !== null && entry.name !== packet.type) {
      this.#o.counters.invalid++;
    } else if (packet.kind === "pull") {
      this.#onPull(peer, packet, entry);
    } else if (entry !== null && entry.revision !== packet.revision) {
      this.#o.counters.invalid++;
    } else if (entry === null && this.#book.wasHandled(peer, packet.correlation)) {
      this.#o.counters.duplicates++;
      this.#refuseForgotten(peer, packet);
    } else if (entry === null || entry.stage.name === "collecting") {
      this.#onPage(o, entry);
    } else {
      this.#o.counters.duplicates++;
      if (entry.stage.name === "done") this.#sendPage(entry, 0);
      else this.#acknowledge(peer, packet);
    }
  }

  /** Entries of all kinds, and the bytes of the answers that are kept. */
  get usage(): { entries: number; bytes: number } {
    return this.#book.usage;
  }

  #onPull(peer: string, packet: Packet, entry: Entry | null): void {
    if (entry?.stage.name === "done") {
      // When the asker pulls an answer of before, page 0 shows it the revision of this one.
      const same = entry.stage.answer.revision === packet.revision;
      this.#sendPage(entry, same ? packet.page : 0);
    } else if (entry === null) {
      const { correlation } = packet;
      this.#o.send(peer, part("REFUSED", { correlation }), NOTHING);
    } else {
      this.#acknowledge(peer, packet);
    }
  }

  #onPage(
    o: { peer: string; from: From; packet: Packet; plaintext: Uint8Array },
    found: Entry | null,
  ): void {
    const { peer, packet } = o;
    const name = packet.type as RequestName; // The caller hands on nothing else.
    const tooMany = packet.pages > REQUEST_PAGES_MAX || packet.correlation === 0;
    const entry = found ?? (tooMany ? null : this.#book.add(peer, packet, name));
    if (entry === null || entry.stage.name !== "collecting") {
      this.#o.counters.limited++;
      return;
    }
    if (!entry.stage.collector.add(packet, o.plaintext)) {
      this.#o.counters.invalid++;
      return;
    }
    if (!entry.stage.collector.complete) return this.#acknowledge(peer, packet);
    if (this.#book.running(peer) >= HANDLING_PER_PEER_MAX) {
      // Forgotten as a whole: the repeat comes when there may be room.
      this.#book.remove(entry);
      this.#o.counters.limited++;
      return;
    }
    const body = entry.stage.collector.body();
    if (body === null) {
      this.#book.remove(entry);
      this.#o.counters.invalid++;
      return;
    }
    if (packet.pages > 1) this.#acknowledge(peer, packet);
    this.#book.run(entry);
    // Ends by itself; what it throws is our own bug and ends the process.
    void this.#handle(entry, body, o.from);
  }

  async #handle(entry: Entry, body: Uint8Array, from: From): Promise<void> {
    const { name } = entry;
    let kind: "ACK" | "REFUSED" = "ACK";
    let answer: PagedBody;
    try {
      answer = pagesOf(await this.#answerOf(name, body, from));
      if (answer.sizeBytes > ANSWER_BODY_BYTES_MAX) {
        throw new DvsanError("limit", `The answer to ${name} is larger than an answer may be.`);
      }
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      if (!(error instanceof DvsanError)) {
        this.#o.log.error("a request could not be handled, by a bug", {
          request: name,
          error: error instanceof Error ? error.stack ?? error.message : String(error),
        });
      }
      kind = "REFUSED";
      answer = pagesOf(encodeRefusal(error));
    }
    this.#book.done(entry, { kind, ...answer });
    this.#sendPage(entry, 0);
  }

  async #answerOf(name: RequestName, body: Uint8Array, from: From): Promise<Uint8Array> {
    const forbidden = this.#o.forbidden(name, from);
    if (forbidden !== null) {
      this.#o.counters.invalid++;
      throw new DvsanError("denied", forbidden);
    }
    const request = decodeBody(REQUESTS[name].body, body);
    if (request === null) {
      this.#o.counters.invalid++;
      throw new DvsanError(
        "invalid",
        `Cannot read ${name}: its body does not fit the protocol. ` +
          `Check that both ends run the same version of dvsan.`,
      );
    }
    // One handler for each name; the body was checked against that name's schema.
    const handler = this.#o.handlers[name] as
      | ((body: unknown, from: From) => Promise<unknown>)
      | undefined;
    if (handler === undefined) throw new DvsanError("unsupported", `${name} is not handled here.`);
    this.#o.counters.handled++;
    return encodeBody(REQUESTS[name].answer, await handler(request, from));
  }

  #sendPage(entry: Entry, page: number): void {
    if (entry.stage.name !== "done") return;
    const { kind, pages, revision } = entry.stage.answer;
    const bytes = pages[page];
    if (bytes === undefined) return;
    const { correlation } = entry;
    const message = { type: kind, kind: "sealed", correlation, page, revision } as const;
    this.#o.send(entry.peer, { ...message, pages: pages.length }, bytes);
  }

  /** Never handled twice, whatever it is: a copy may have been held back for long. */
  #refuseForgotten(peer: string, packet: Packet): void {
    const { correlation, type } = packet;
    const message = `${type} was handled before, and its answer is kept no more. Ask anew.`;
    const { pages, revision } = pagesOf(encodeRefusal(new DvsanError("timeout", message)));
    const refused = { type: "REFUSED", kind: "sealed", correlation, page: 0, revision } as const;
    this.#o.send(peer, { ...refused, pages: pages.length }, pages[0] ?? NOTHING);
  }

  /** "This page is here": for a request that is not whole yet, or is being handled. */
  #acknowledge(peer: string, packet: Packet): void {
    this.#o.send(peer, part("ACK", packet), NOTHING);
  }
}

function part(
  type: "ACK" | "REFUSED",
  o: Pick<Message, "correlation"> & Partial<Message>,
): Message {
  const { correlation, page = 0, pages = 1, revision = NO_REVISION } = o;
  return { type, kind: "part", correlation, page, pages, revision };
}

function encodeRefusal(error: unknown): Uint8Array {
  const plain = toPlainError(error);
  const message = plain.message.slice(0, REFUSAL_CHARACTERS_MAX);
  return encodeBody(Refusal, { ...plain, message });
}
