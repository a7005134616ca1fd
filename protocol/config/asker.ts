import type { Clock } from "../core/clock.ts";
import { viewOf } from "../core/bytes.ts";
import { DvsanError } from "../core/errors.ts";
import {
  REQUEST_BODY_BYTES_MAX,
  REQUEST_TIMEOUT_MS,
  REQUESTS_PER_PEER_MAX,
} from "../core/limits.ts";
import type { Random } from "../core/random.ts";
import { Asking, type SendMessage } from "./asking.ts";
import { encodeBody, pagesOf } from "./body.ts";
import type { Counters } from "./counters.ts";
import type { RequestOptions } from "./link.ts";
import type { Packet } from "./packet.ts";
import { type AnswerBody, type RequestBody, type RequestName, REQUESTS } from "./requests.ts";

export interface AskerOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: Counters;
  /** Seals and sends; does nothing without a session: it is repeated. */
  readonly send: SendMessage;
  /** For messages: `unit "u1"`, `the station`. */
  readonly peerName: () => string;
  /** A request was repeated `times` times without any sign of the peer. */
  readonly unanswered?: (times: number) => void;
}

/** All requests to one peer that wait for an answer. Outlives sessions, so a rekey loses none. */
export class Asker {
  readonly #o: AskerOptions;
  readonly #waiting = new Map<number, Asking>();
  /** Starts anywhere, so that a peer's kept answers to our last incarnation never match. */
  #correlation: number;

  constructor(o: AskerOptions) {
    this.#o = o;
    const start = viewOf(o.random.bytes(6));
    this.#correlation = start.getUint16(0) * 2 ** 32 + start.getUint32(2);
  }

  /** As StationLink.request. */
  ask<N extends RequestName>(
    name: N,
    body: RequestBody<N>,
    options: RequestOptions = {},
  ): Promise<AnswerBody<N>> {
    const { signal, timeoutMs = REQUEST_TIMEOUT_MS } = options;
    const peer = this.#o.peerName();
    if (signal?.aborted) return Promise.reject(cancelled(name));
    if (this.#waiting.size >= REQUESTS_PER_PEER_MAX) {
      const message = `Cannot send ${name} to ${peer}: ${REQUESTS_PER_PEER_MAX} requests to it ` +
        `wait for their answers already. Try again later.`;
      return Promise.reject(new DvsanError("limit", message));
    }
    const paged = pagesOf(encodeBody(REQUESTS[name].body, body));
    if (paged.sizeBytes > REQUEST_BODY_BYTES_MAX) {
      const message = `Cannot send ${name} to ${peer}: it has ${paged.sizeBytes} bytes, ` +
        `${REQUEST_BODY_BYTES_MAX} are allowed.`;
      return Promise.reject(new DvsanError("limit", message));
    }
    this.#o.counters.requests++;
    const correlation = ++this.#correlation;
    return new Promise<AnswerBody<N>>((resolve, reject) => {
      const done = (settle: () => void) => {
        this.#waiting.delete(correlation);
        signal?.removeEventListener("abort", abort);
        settle();
      };
      const asking = new Asking({
        ...this.#o,
        name,
        correlation,
        body: paged,
        timeoutMs,
        // The schema of this very request's answer was applied by Asking.
        answered: (answer) => done(() => resolve(answer as AnswerBody<N>)),
        failed: (error) => done(() => reject(error)),
      });
      const abort = () => asking.fail(cancelled(name));
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.set(correlation, asking);
      asking.start();
    });
  }

  /** An ACK or REFUSED that was opened. */
  onAnswer(packet: Packet, plaintext: Uint8Array): void {
    const asking = this.#waiting.get(packet.correlation);
    if (asking === undefined) this.#o.counters.duplicates++;
    else asking.onAnswer(packet, plaintext);
  }

  /** There is a new session: everything that waits is repeated now. */
  repeatNow(): void {
    for (const asking of [...this.#waiting.values()]) asking.repeatNow();
  }

  failAll(error: DvsanError): void {
    for (const asking of [...this.#waiting.values()]) asking.fail(error);
  }

  get waiting(): number {
    return this.#waiting.size;
  }
}

function cancelled(name: RequestName): DvsanError {
  return new DvsanError("cancelled", `${name} was cancelled by its caller.`);
}
