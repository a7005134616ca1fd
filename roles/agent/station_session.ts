import { Answerer } from "../../protocol/config/answerer.ts";
import { Asker } from "../../protocol/config/asker.ts";
import type { Message } from "../../protocol/config/asking.ts";
import { CONFIRMATION } from "../../protocol/config/confirmation.ts";
import type { Refusal } from "../../protocol/config/bodies.ts";
import { type Counters, newCounters } from "../../protocol/config/counters.ts";
import type { AgentLink, Endpoint, RequestOptions } from "../../protocol/config/link.ts";
import {
  clusterBytes,
  clusterText,
  decodePacket,
  NO_CLUSTER,
  type Packet,
} from "../../protocol/config/packet.ts";
import {
  type AnswerBody,
  type RequestBody,
  type RequestName,
  REQUESTS,
} from "../../protocol/config/requests.ts";
import { Session, SESSION_LIMITS } from "../../protocol/config/session.ts";
import type { Timer } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import {
  CONFIRM_REPEATS_MAX,
  HINT_HANDSHAKE_MS,
  OLD_KEYS_MS,
  REPEAT_MS_MIN,
  REQUEST_TIMEOUT_MS,
  STATION_SILENCE_MS,
} from "../../protocol/core/limits.ts";
import type { AgentLinkOptions } from "./agent_link.ts";
import { type Line, rekeyDelayMs } from "./line.ts";
import { type Found, Search } from "./search.ts";
import { parseStation } from "./station_address.ts";
import { Waiters } from "./waiters.ts";

/** The one peer a node answers. */
const STATION = "station";
const NOTHING = new Uint8Array(0);

/** A node's end: looks for the station, keeps one session with it, asks and answers in it. */
export class StationSession implements AgentLink {
  state: AgentLink["state"] = "searching";
  reason: string | null = null;
  readonly counters: Counters = newCounters();
  readonly #o: AgentLinkOptions;
  readonly #search: Search;
  readonly #asker: Asker;
  readonly #answerer: Answerer<null>;
  readonly #waiters = new Waiters();
  #cluster: Uint8Array;
  /** Confirmed; before it, for packets under way; after it, until the station switched. */
  #current: Line | null = null;
  #previous: Line | null = null;
  #next: Line | null = null;
  #confirmTimer: Timer | null = null;
  #rekeyTimer: Timer | null = null;
  #answeredMs: number;
  #hintMs = Number.NEGATIVE_INFINITY;

  constructor(o: AgentLinkOptions) {
    const { clock, random, log } = o;
    const { counters } = this;
    this.#o = o;
    this.#cluster = o.clusterId === undefined ? NO_CLUSTER : clusterBytes(o.clusterId);
    this.#answeredMs = clock.nowMs();
    this.#search = new Search({
      ...o,
      counters,
      station: parseStation(o.station),
      cluster: () => this.#cluster,
      send: (packet, to) => this.#transmit(packet, to),
      found: (found) => this.#onFound(found),
      refused: (refusal) => this.#onRefused(refusal),
      failed: (words) => this.#onFailed(words),
    });
    this.#asker = new Asker({
      clock,
      random,
      counters,
      send: (message, plaintext) => this.#send(this.#current, message, plaintext),
      peerName: () => "the station",
      unanswered: () => this.#onUnanswered(),
    });
    this.#answerer = new Answerer<null>({
      clock,
      log,
      counters,
      handlers: o.handlers,
      forbidden: (name) =>
        REQUESTS[name].from === "station" ? null : `Cannot take ${name}: nodes send it.`,
      send: (_peer, message, plaintext) => this.#send(this.#current, message, plaintext),
    });
    o.datagrams.onPacket((packet, from) => this.#onDatagram(packet, from));
    this.#search.begin();
  }

  get clusterId(): string | null {
    return this.#cluster === NO_CLUSTER ? null : clusterText(this.#cluster);
  }

  async request<N extends RequestName>(
    name: N,
    body: RequestBody<N>,
    options: RequestOptions = {},
  ): Promise<AnswerBody<N>> {
    const { clock } = this.#o;
    const { timeoutMs = REQUEST_TIMEOUT_MS, signal } = options;
    const startMs = clock.nowMs();
    if (this.state === "closed") throw this.#closedError();
    // Who was told no is not made to wait for it again.
    if (this.state === "refused") throw this.#unavailable(name);
    if (this.state !== "connected") {
      const why = () => this.#unavailable(name);
      await this.#waiters.wait({ clock, timeoutMs, why, ...(signal && { signal }) });
    }
    const leftMs = Math.max(1, timeoutMs - (clock.nowMs() - startMs));
    return await this.#asker.ask(name, body, { ...options, timeoutMs: leftMs });
  }

  async connected(signal?: AbortSignal): Promise<void> {
    if (this.state === "connected" && !signal?.aborted) return;
    if (this.state === "closed") throw this.#closedError();
    await this.#waiters.wait({ clock: this.#o.clock, ...(signal && { signal }) });
  }

  close(): void {
    if (this.state === "closed") return;
    this.#setState("closed", "this node stopped");
    this.#search.stop();
    this.#confirmTimer?.cancel();
    this.#rekeyTimer?.cancel();
    this.#current = this.#previous = this.#next = null;
    this.#o.datagrams.onPacket(() => {});
    this.#waiters.fail(this.#closedError());
    this.#asker.failAll(this.#closedError());
  }

  #onDatagram(bytes: Uint8Array, from: Endpoint): void {
    this.counters.packets++;
    const packet = decodePacket(bytes);
    if (typeof packet === "string") this.counters.bad++;
    else if (packet.kind === "hint") this.#onHint(packet);
    else if (packet.kind !== "handshake") this.#onSealed(packet);
    else if (!this.#search.onPacket(packet, from)) this.counters.bad++;
  }

  /** Anybody can send one: it may only cause a handshake, and not many. */
  #onHint(packet: Packet): void {
    const nowMs = this.#o.clock.nowMs();
    const ours = packet.session === this.#current?.session.id;
    if (!ours || nowMs - this.#hintMs < HINT_HANDSHAKE_MS) {
      this.counters[ours ? "limited" : "bad"]++;
      return;
    }
    this.#hintMs = nowMs;
    this.counters.hints++;
    this.#search.begin();
  }

  #onSealed(packet: Packet): void {
    const lines = [this.#current, this.#next, this.#previous];
    const line = lines.find((each) => each?.session.id === packet.session);
    if (!line) return void this.counters.unknown++;
    const opened = line.session.open(packet, this.#o.clock.nowMs());
    if (typeof opened === "string") {
      this.counters[opened === "dead" ? "unknown" : opened]++;
      return;
    }
    // Only answers show that the station hears us.
    const isAnswer = packet.type === "ACK" || packet.type === "REFUSED";
    if (isAnswer) this.#answeredMs = this.#o.clock.nowMs();
    if (line === this.#next) this.#onConfirmed(line);
    else if (isAnswer && line === this.#current && this.state === "searching") {
      this.#search.stop(); // It was silent for a while, that is all.
      this.#setState("connected", null);
    }
    this.#rekeyWhenWorn();
    this.#dispatch(packet, opened.plaintext);
  }

  #dispatch(packet: Packet, plaintext: Uint8Array): void {
    if (packet.type === "ACK" || packet.type === "REFUSED") {
      if (packet.correlation !== 0) this.#asker.onAnswer(packet, plaintext);
    } else this.#answerer.onRequest({ peer: STATION, from: null, packet, plaintext });
  }

  #onFound({ keys, cluster, endpoint }: Found): void {
    const expected = this.#cluster;
    if (expected !== NO_CLUSTER && clusterText(expected) !== clusterText(cluster)) {
      const message = `The station is of cluster ${clusterText(cluster)}, and this node of ` +
        `${clusterText(expected)}. Rejoin the node if that is meant.`;
      this.#search.beginLater();
      return this.#onRefused({ code: "denied", message });
    }
    this.#cluster = cluster;
    const session = new Session({
      id: keys.id,
      keys,
      cluster,
      bornMs: this.#o.clock.nowMs(),
      limits: this.#o.sessionLimits ?? SESSION_LIMITS,
    });
    this.#next = { session, endpoint };
    if (this.state !== "connected") this.#setState("handshake", null);
    this.#confirm(this.#next, 0);
  }

  /** Until the station was heard under the new keys. */
  #confirm(line: Line, times: number): void {
    if (times > CONFIRM_REPEATS_MAX) {
      this.#next = null;
      this.#onFailed("The station answered the handshake, and then nothing.");
      this.#search.begin();
      return;
    }
    this.#send(line, CONFIRMATION, NOTHING);
    this.#confirmTimer?.cancel();
    const delayMs = REPEAT_MS_MIN * 2 ** Math.min(times, 3);
    this.#confirmTimer = this.#o.clock.after(delayMs, () => this.#confirm(line, times + 1));
  }

  #onConfirmed(line: Line): void {
    this.#confirmTimer?.cancel();
    this.#confirmTimer = this.#o.clock.after(OLD_KEYS_MS, () => this.#previous = null);
    this.#previous = this.#current;
    this.#current = line;
    this.#next = null;
    this.counters.sessions++;
    this.#answeredMs = this.#o.clock.nowMs();
    const delayMs = rekeyDelayMs(this.#o.sessionLimits, this.#o.random);
    this.#rekeyTimer?.cancel();
    this.#rekeyTimer = this.#o.clock.after(delayMs, () => this.#rekey());
    this.#setState("connected", null);
    this.#asker.repeatNow();
  }

  #rekeyWhenWorn(): void {
    if (this.#current?.session.worn(this.#o.clock.nowMs())) this.#rekey();
  }

  #rekey(): void {
    if (this.#next === null) this.#search.begin();
  }

  /** A request was repeated: the station may be gone, or may have moved. */
  #onUnanswered(): void {
    if (this.#o.clock.nowMs() - this.#answeredMs < STATION_SILENCE_MS) return;
    if (this.state !== "connected") return;
    this.#setState("searching", "The station does not answer.");
    this.#search.begin();
  }

  #onFailed(words: string): void {
    const nowMs = this.#o.clock.nowMs();
    // While old keys are good, a rekey that has to be tried again is nobody's concern.
    if (this.state === "connected" && this.#current?.session.dead(nowMs) === false) return;
    this.#setState("searching", words);
  }

  #onRefused(refusal: Refusal): void {
    this.#current = this.#previous = this.#next = null;
    for (const timer of [this.#confirmTimer, this.#rekeyTimer]) timer?.cancel();
    this.#setState("refused", refusal.message);
  }

  #send(line: Line | null, message: Message, plaintext: Uint8Array): void {
    const nowMs = this.#o.clock.nowMs();
    const packet = line?.session.seal(message, { plaintext, nowMs }) ?? null;
    if (line !== null && packet !== null) this.#transmit(packet, line.endpoint);
    if (line !== null && line === this.#current) this.#rekeyWhenWorn();
  }

  #transmit(packet: Uint8Array, to: Endpoint): void {
    this.counters.sent++;
    this.#o.datagrams.send(packet, to);
  }

  #setState(state: AgentLink["state"], reason: string | null): void {
    const changed = state !== this.state || reason !== this.reason;
    this.state = state;
    this.reason = reason;
    if (state === "connected") this.#waiters.release();
    if (changed) this.#o.onState?.(state, reason);
  }

  #unavailable(name: RequestName): DvsanError {
    const why = this.reason ?? "no session with it yet.";
    return new DvsanError("unavailable", `Cannot send ${name} to the station: ${why}`);
  }

  #closedError(): DvsanError {
    return new DvsanError("cancelled", "The link to the station was closed: this node stops.");
  }
}
