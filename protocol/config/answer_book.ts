import { assert } from "../core/assert.ts";
import type { Clock } from "../core/clock.ts";
import {
  COLLECTING_MAX,
  COLLECTING_MS_MAX,
  COLLECTING_PER_PEER_MAX,
  KEPT_ANSWER_BYTES_MAX,
  KEPT_ANSWERS_MAX,
  KEPT_ANSWERS_PER_PEER_MAX,
  NODES_MAX,
} from "../core/limits.ts";
import type { PagedBody } from "./body.ts";
import { HandledRequests } from "./handled_requests.ts";
import { PageCollector, type PageName } from "./page_collector.ts";
import type { RequestName } from "./requests.ts";

export interface Answer extends PagedBody {
  readonly kind: "ACK" | "REFUSED";
}

/** A peer's request, from its first page to the answer that is kept for duplicates. */
export interface Entry {
  readonly peer: string;
  readonly correlation: number;
  readonly name: RequestName;
  /** Of the request. */
  readonly revision: string;
  stage:
    | { name: "collecting"; collector: PageCollector; sinceMs: number }
    | { name: "running" }
    | { name: "done"; answer: Answer };
}

type Stage = Entry["stage"]["name"];

/**
 * The requests of all peers by peer and correlation. Bounded in every direction: what is being
 * collected is refused or forgotten, what is done is forgotten oldest first, what runs stays.
 */
export class AnswerBook {
  readonly #clock: Clock;
  readonly #peers = new Map<string, Map<number, Entry>>();
  /** In the order in which they got there. */
  readonly #byStage: Record<Stage, Set<Entry>> = {
    collecting: new Set(),
    running: new Set(),
    done: new Set(),
  };
  /** Bounded as the peers are: each has a session. */
  readonly #handled = new Map<string, HandledRequests>();
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get usage(): { entries: number; bytes: number } {
    const { collecting, running, done } = this.#byStage;
    return { entries: collecting.size + running.size + done.size, bytes: this.#bytes };
  }

  find(peer: string, correlation: number): Entry | null {
    return this.#peers.get(peer)?.get(correlation) ?? null;
  }

  /** A new request with no page yet, or null when too many are being collected. */
  add(
    peer: string,
    o: PageName & { readonly correlation: number },
    name: RequestName,
  ): Entry | null {
    const { correlation, revision } = o;
    assert(this.find(peer, correlation) === null, "a request is added once");
    this.#forgetStale();
    const mine = this.#of(peer, "collecting");
    // Its older ones were given up, or it asks for too much at once: either way they come again.
    if (mine.length >= COLLECTING_PER_PEER_MAX && mine[0] !== undefined) this.remove(mine[0]);
    if (this.#byStage.collecting.size >= COLLECTING_MAX) return null;
    const collector = new PageCollector(o);
    const stage = { name: "collecting", collector, sinceMs: this.#clock.nowMs() } as const;
    const entry: Entry = { peer, correlation, name, revision, stage };
    const entries = this.#peers.get(peer) ?? new Map<number, Entry>();
    entries.set(correlation, entry);
    this.#peers.set(peer, entries);
    this.#byStage.collecting.add(entry);
    return entry;
  }

  /** Whether a request without an entry was handled before, and its answer forgotten. */
  wasHandled(peer: string, correlation: number): boolean {
    return this.#handled.get(peer)?.has(correlation) ?? false;
  }

  run(entry: Entry): void {
    const handled = this.#handled.get(entry.peer) ?? new HandledRequests();
    this.#handled.delete(entry.peer);
    this.#handled.set(entry.peer, handled);
    handled.add(entry.correlation);
    for (const oldest of this.#handled.keys()) {
      if (this.#handled.size <= NODES_MAX) break;
      this.#handled.delete(oldest);
    }
    this.#move(entry, { name: "running" });
  }

  running(peer: string): number {
    return this.#of(peer, "running").length;
  }

  done(entry: Entry, answer: Answer): void {
    this.#move(entry, { name: "done", answer });
    this.#bytes += answer.sizeBytes;
    const mine = this.#of(entry.peer, "done");
    if (mine.length > KEPT_ANSWERS_PER_PEER_MAX && mine[0] !== undefined) this.remove(mine[0]);
    for (const oldest of this.#byStage.done) {
      const fits = this.#byStage.done.size <= KEPT_ANSWERS_MAX &&
        this.#bytes <= KEPT_ANSWER_BYTES_MAX;
      // The newest stays, whatever its size: its asker is about to pull it.
      if (fits || oldest === entry) break;
      this.remove(oldest);
    }
  }

  remove(entry: Entry): void {
    assert(entry.stage.name !== "running", "what runs is not forgotten");
    this.#byStage[entry.stage.name].delete(entry);
    if (entry.stage.name === "done") this.#bytes -= entry.stage.answer.sizeBytes;
    const entries = this.#peers.get(entry.peer);
    entries?.delete(entry.correlation);
    if (entries?.size === 0) this.#peers.delete(entry.peer);
  }

  #move(entry: Entry, stage: Entry["stage"]): void {
    this.#byStage[entry.stage.name].delete(entry);
    entry.stage = stage;
    this.#byStage[stage.name].add(entry);
  }

  #of(peer: string, stage: Stage): Entry[] {
    const entries = this.#peers.get(peer);
    if (entries === undefined) return [];
    return [...entries.values()].filter((entry) => entry.stage.name === stage);
  }

  #forgetStale(): void {
    const nowMs = this.#clock.nowMs();
    for (const entry of this.#byStage.collecting) {
      if (entry.stage.name !== "collecting") continue;
      if (nowMs - entry.stage.sinceMs < COLLECTING_MS_MAX) break;
      this.remove(entry);
    }
  }
}
