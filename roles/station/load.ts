import type { NodeFigures } from "../../protocol/config/bodies.ts";
import type { Meter, MeterKind, Meters } from "../../protocol/config/meters.ts";
import {
  METER_KEPT_MS,
  METERS_PER_NODE_MAX,
  METERS_WATCHED_MS,
} from "../../protocol/core/limits.ts";
import type { LoadView } from "../../web/load_views.ts";
import {
  errorsByKind,
  follows,
  isSame,
  loadView,
  type Told,
  toldOf,
  toldOfNode,
} from "./load_told.ts";

interface Kept {
  readonly kind: MeterKind | "node";
  readonly id: string;
  readonly now: Told;
  readonly atMs: number;
  /** The last one before, when it can be subtracted. */
  readonly before: Told | null;
  readonly beforeMs: number;
}

/**
 * What one node's heartbeats said of its load, in this run of the station: the last numbers of each
 * thing and those before, from which rates come. A node that restarted counts from 0 again: its
 * first numbers have no rate, and never a negative one.
 */
export class NodeLoad {
  readonly #kept = new Map<string, Kept>();
  /** Those that the last heartbeat told of. */
  #connections: ReadonlyMap<string, Kept> = new Map();
  #watchedUntilMs = 0;
  #uptimeMs = 0;
  #atMs = 0;

  /** One heartbeat. `nowMs` is the station's monotonic clock. */
  heard(said: { figures: NodeFigures; meters?: Meters | undefined }, nowMs: number): void {
    const { figures, meters } = said;
    if (figures.uptimeMs < this.#uptimeMs) {
      this.#kept.clear();
      this.#connections = new Map();
    }
    this.#uptimeMs = figures.uptimeMs;
    const lastMs = this.#atMs;
    this.#atMs = nowMs;
    this.#keep({ kind: "node", id: "", now: toldOfNode(figures) }, { nowMs, lastMs });
    if (meters === undefined) return;
    this.#heardConnections(meters.connections ?? [], { nowMs, lastMs });
    const told = new Set<string>();
    for (const meter of meters.rows) {
      const [kind, id] = meter;
      told.add(`${kind} ${id}`);
      this.#keep({ kind, id, now: toldOf(meter) }, { nowMs, lastMs });
    }
    if (meters.whole) this.#restWereIdle(told, nowMs);
  }

  /** For a while after somebody looked, the node is asked to tell all that changes. */
  isWatched(nowMs: number): boolean {
    return nowMs < this.#watchedUntilMs;
  }

  /** Somebody looks: everything of this kind, by id; the node's own sum has the id "". */
  look(kind: MeterKind | "node", nowMs: number): ReadonlyMap<string, LoadView> {
    this.#watchedUntilMs = nowMs + METERS_WATCHED_MS;
    const views = new Map<string, LoadView>();
    const from = kind === "connection" ? this.#connections : this.#kept;
    for (const kept of from.values()) {
      if (kept.kind === kind) views.set(kept.id, viewOf(kept, nowMs));
    }
    return views;
  }

  /** Kinds of errors of one thing, for who does not look at its load; none: it is not known. */
  errorsOf(kind: MeterKind, id: string): LoadView["errorsByKind"] {
    const kept = this.#kept.get(`${kind} ${id}`);
    return kept === undefined ? {} : errorsByKind(kept.now);
  }

  #keep(
    what: Pick<Kept, "kind" | "id" | "now">,
    at: { readonly nowMs: number; readonly lastMs: number },
  ): void {
    const key = `${what.kind} ${what.id}`;
    const last = this.#kept.get(key);
    if (last === undefined && this.#kept.size >= METERS_PER_NODE_MAX) return;
    this.#kept.set(key, after(last, what, at));
  }

  /** Connections come and go: those of the last heartbeat are all that is kept. */
  #heardConnections(
    meters: readonly Meter[],
    at: { readonly nowMs: number; readonly lastMs: number },
  ): void {
    const heard = new Map<string, Kept>();
    for (const meter of meters) {
      const [kind, id] = meter;
      heard.set(id, after(this.#connections.get(id), { kind, id, now: toldOf(meter) }, at));
    }
    this.#connections = heard;
  }

  /** A whole heartbeat says of what it leaves out that nothing happened there. */
  #restWereIdle(told: ReadonlySet<string>, nowMs: number): void {
    for (const [key, kept] of this.#kept) {
      if (kept.kind === "node" || told.has(key)) continue;
      // Once more with the same numbers; what is gone for good is forgotten in the end.
      const isIdle = kept.before !== null && isSame(kept.now, kept.before);
      const idleMs = isIdle ? nowMs - kept.beforeMs : 0;
      if (idleMs > METER_KEPT_MS) this.#kept.delete(key);
      else {
        const beforeMs = isIdle ? kept.beforeMs : kept.atMs;
        this.#kept.set(key, { ...kept, before: kept.now, beforeMs, atMs: nowMs });
      }
    }
  }
}

/** What is kept of a meter that is told after `last`, if it ever was. */
function after(
  last: Kept | undefined,
  what: Pick<Kept, "kind" | "id" | "now">,
  at: { readonly nowMs: number; readonly lastMs: number },
): Kept {
  const fits = last !== undefined && follows(what.now, last.now);
  return {
    ...what,
    atMs: at.nowMs,
    before: fits ? last.now : null,
    beforeMs: fits ? last.atMs : at.lastMs,
  };
}

function viewOf({ now, before, atMs, beforeMs }: Kept, nowMs: number): LoadView {
  const seconds = (atMs - beforeMs) / 1000;
  return loadView(now, { before, seconds, ageMs: Math.round(nowMs - atMs) });
}
