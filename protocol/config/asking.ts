import type { Clock, Timer } from "../core/clock.ts";
import { DvsanError, fromPlainError } from "../core/errors.ts";
import {
  ANSWER_RESTARTS_MAX,
  PULL_WINDOW_PAGES,
  PUSH_WINDOW_PAGES,
  REPEAT_MS_MAX,
  REPEAT_MS_MIN,
} from "../core/limits.ts";
import { type Random, randomFraction } from "../core/random.ts";
import { Refusal } from "./bodies.ts";
import { decodeBody, type PagedBody } from "./body.ts";
import type { Counters } from "./counters.ts";
import { NO_REVISION, type Packet, type PacketHeader } from "./packet.ts";
import { PageCollector } from "./page_collector.ts";
import { type RequestName, REQUESTS } from "./requests.ts";

export type Message = Omit<PacketHeader, "cluster" | "session" | "counter">;
export type SendMessage = (message: Message, plaintext: Uint8Array) => void;

export interface AskingOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  readonly send: SendMessage;
  readonly peerName: () => string;
  readonly unanswered?: (times: number) => void;
  readonly name: RequestName;
  readonly correlation: number;
  readonly body: PagedBody;
  readonly timeoutMs: number;
  readonly answered: (answer: unknown) => void;
  readonly failed: (error: DvsanError) => void;
}

const NOTHING = new Uint8Array(0);

/**
 * One request on its way: its pages are pushed until each was acknowledged, then the answer's pages
 * are pulled. What goes unanswered is repeated, with backoff and jitter, until the time is over.
 */
export class Asking {
  readonly #o: AskingOptions;
  readonly #deadlineMs: number;
  /** Pages of our request that the peer has not acknowledged, in order. */
  readonly #unacknowledged: Set<number>;
  readonly #pushed = new Set<number>();
  #answer: { kind: "ACK" | "REFUSED"; collector: PageCollector } | null = null;
  readonly #pulled = new Set<number>();
  /** The lowest page of the answer that was never asked for. */
  #nextPull = 1;
  /** Revisions of the answer that were given up: their late packets are ignored. */
  readonly #abandoned = new Set<string>();
  #restarts = 0;
  #silentRepeats = 0;
  #timer: Timer | null = null;
  #over = false;

  constructor(o: AskingOptions) {
    this.#o = o;
    this.#deadlineMs = o.clock.nowMs() + o.timeoutMs;
    this.#unacknowledged = new Set(o.body.pages.keys());
  }

  start(): void {
    this.#push();
    this.#arm();
  }

  /** Sends all that is outstanding once more. */
  repeatNow(): void {
    if (this.#over) return;
    this.#silentRepeats = 0;
    this.#repeat();
    this.#arm();
  }

  fail(error: DvsanError): void {
    if (this.#finish()) this.#o.failed(error);
  }

  onAnswer(packet: Packet, plaintext: Uint8Array): void {
    if (this.#over) return;
    if (packet.kind === "part") this.#onPart(packet);
    else this.#onPage(packet, plaintext);
  }

  /** One page of our request was taken, or the peer does not know the answer we pull. */
  #onPart(packet: Packet): void {
    if (packet.type === "REFUSED") {
      if (this.#answer === null) return;
      this.#startAnew("the peer lost its answer");
      this.#abandoned.clear();
      for (const page of this.#o.body.pages.keys()) this.#unacknowledged.add(page);
      this.#pushed.clear();
      this.#push();
      return;
    }
    if (packet.revision !== this.#o.body.revision) return;
    this.#pushed.delete(packet.page);
    if (this.#unacknowledged.delete(packet.page)) {
      this.#progress();
      this.#push();
    }
  }

  #onPage(packet: Packet, plaintext: Uint8Array): void {
    if (this.#abandoned.has(packet.revision) && !this.#isAnswerAgain(packet)) return;
    const kind = packet.type === "REFUSED" ? "REFUSED" : "ACK";
    const known = this.#answer;
    if (known !== null && (known.kind !== kind || known.collector.revision !== packet.revision)) {
      this.#startAnew("its answer changed");
      if (this.#over) return;
    }
    this.#answer ??= { kind, collector: new PageCollector(packet) };
    // The peer answers only what it has whole.
    this.#unacknowledged.clear();
    this.#pushed.clear();
    if (!this.#answer.collector.add(packet, plaintext)) {
      this.#o.counters.invalid++;
      return;
    }
    this.#pulled.delete(packet.page);
    this.#progress();
    if (this.#answer.collector.complete) this.#complete();
    else this.#pull();
  }

  /**
   * The start of an answer that was given up, where the one that is pulled is answered no more: it
   * was the older one, and a late page of it passed for a change. A peer answers what it knows.
   */
  #isAnswerAgain(packet: Packet): boolean {
    if (packet.page !== 0 || this.#silentRepeats === 0) return false;
    this.#abandoned.delete(packet.revision);
    return true;
  }

  #complete(): void {
    if (this.#answer === null) return;
    const { kind, collector } = this.#answer;
    const body = collector.body();
    if (body === null) return this.#startAnew("its pages do not make the answer they name");
    const peer = this.#o.peerName();
    const refusal = kind === "REFUSED" ? decodeBody(Refusal, body) : null;
    const answer = kind === "ACK" ? decodeBody(REQUESTS[this.#o.name].answer, body) : null;
    if (refusal !== null) {
      const { code, message, details } = refusal;
      this.fail(fromPlainError(details === undefined ? { code, message } : refusal));
    } else if (answer !== null) {
      if (this.#finish()) this.#o.answered(answer);
    } else {
      this.#o.counters.invalid++;
      const message = `Cannot read the answer of ${peer} to ${this.#o.name}: it does not fit the ` +
        `protocol. Check that both run the same version of dvsan.`;
      this.fail(new DvsanError("invalid", message));
    }
  }

  /** From page 0 of whatever the answer is now. */
  #startAnew(why: string): void {
    if (this.#answer !== null) this.#abandoned.add(this.#answer.collector.revision);
    this.#answer = null;
    this.#pulled.clear();
    this.#nextPull = 1;
    if (++this.#restarts <= ANSWER_RESTARTS_MAX) return;
    const message = `Cannot get the answer of ${this.#o.peerName()} to ${this.#o.name}: ${why}, ` +
      `${this.#restarts} times in a row. Try again later.`;
    this.fail(new DvsanError("unavailable", message));
  }

  #push(): void {
    for (const page of this.#unacknowledged) {
      if (this.#pushed.size >= PUSH_WINDOW_PAGES) return;
      if (this.#pushed.has(page)) continue;
      this.#pushed.add(page);
      this.#sendPage(page);
    }
  }

  #pull(): void {
    const collector = this.#answer?.collector;
    if (collector === undefined) return;
    while (this.#pulled.size < PULL_WINDOW_PAGES && this.#nextPull <= collector.pages) {
      // Page 0 comes by itself, but another page may have overtaken it: it is asked for last.
      const page = this.#nextPull++ % collector.pages;
      if (collector.has(page)) continue;
      this.#pulled.add(page);
      this.#sendPull(page);
    }
  }

  #repeat(): void {
    const { counters } = this.#o;
    if (this.#answer !== null) {
      counters.repeats += this.#pulled.size;
      for (const page of this.#pulled) this.#sendPull(page);
    } else if (this.#pushed.size > 0) {
      counters.repeats += this.#pushed.size;
      for (const page of this.#pushed) this.#sendPage(page);
    } else {
      counters.repeats++;
      this.#sendPage(0); // It was taken whole; the answer is late or was lost.
    }
  }

  #sendPage(page: number): void {
    const { name, correlation, body } = this.#o;
    const { pages, revision } = body;
    const message = { type: name, kind: "sealed", correlation, page, revision } as const;
    this.#o.send({ ...message, pages: pages.length }, pages[page] ?? NOTHING);
  }

  #sendPull(page: number): void {
    const pages = this.#answer?.collector.pages ?? 1;
    const revision = this.#answer?.collector.revision ?? NO_REVISION;
    const { name, correlation } = this.#o;
    this.#o.send({ type: name, kind: "pull", correlation, page, pages, revision }, NOTHING);
  }

  #progress(): void {
    this.#silentRepeats = 0;
    this.#arm();
  }

  #arm(): void {
    if (this.#over) return;
    this.#timer?.cancel();
    const { clock, random } = this.#o;
    const backoffMs = Math.min(REPEAT_MS_MAX, REPEAT_MS_MIN * 2 ** this.#silentRepeats);
    const delayMs = backoffMs * (0.75 + randomFraction(random) / 2);
    const leftMs = this.#deadlineMs - clock.nowMs();
    // A timer of just what is left is the last one, and the clock is not asked again: rounding or
    // an early ring would leave a moment too short to pass, and repeats without a pause in it.
    this.#timer = leftMs <= delayMs
      ? clock.after(Math.max(0, leftMs), () => this.#failLate())
      : clock.after(delayMs, () => this.#onTimer());
  }

  #failLate(): void {
    const { name, peerName, timeoutMs } = this.#o;
    const message = `${name} was not answered by ${peerName()} within ` +
      `${Math.round(timeoutMs / 1000)} s. It may or may not have been carried out; ask again.`;
    this.fail(new DvsanError("timeout", message));
  }

  #onTimer(): void {
    this.#repeat();
    this.#silentRepeats++;
    this.#o.unanswered?.(this.#silentRepeats);
    this.#arm();
  }

  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#timer?.cancel();
    return true;
  }
}
