import type { NodeFigures } from "../../protocol/config/bodies.ts";
import type { Meters } from "../../protocol/config/meters.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import {
  CONNECTION_METER_ROOM,
  CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX,
  METERS_PER_HEARTBEAT_MAX,
  METERS_PER_HEARTBEAT_WATCHED_MAX,
} from "../../protocol/core/limits.ts";
import { nodeFigures } from "../../storage/counters/figures.ts";
import {
  hasChanged,
  type Metered,
  meteredConnections,
  meteredOf,
  meterOf,
} from "../../storage/counters/meters.ts";
import { answeredOf, type CounterReader, inFlightOf } from "../../storage/counters/reader.ts";

interface Told {
  readonly metered: Metered;
  /** Number of the heartbeat. */
  readonly beat: number;
}

/** What the station knows once it has answered a heartbeat. */
interface Known {
  readonly told: ReadonlyMap<string, Told>;
  /** Every connection that was open at that heartbeat, told of or not, by its id. */
  readonly connections: ReadonlyMap<string, Float64Array>;
}

/**
 * What a node's heartbeats say of its load. Each tells of what changed since it was told last, and
 * of no more than fits beside the rest in one packet: what was told longest ago goes first. While
 * somebody watches, the station's answers say so, and everything that changed goes in each. Of
 * connections, which may be many and come and go, each tells the busiest. Numbers are sums, so a
 * heartbeat that is lost or comes twice changes nothing.
 */
export class NodeMeters {
  readonly #counters: Pick<CounterReader, "read">;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #known: Known = { told: new Map(), connections: new Map() };
  /** Of the heartbeat under way: true once the station has it. */
  #pending: Known | null = null;
  #beat = 0;
  #isWatched = false;

  constructor(counters: Pick<CounterReader, "read">, clock: Clock) {
    this.#counters = counters;
    this.#clock = clock;
    this.#startedMs = clock.nowMs();
  }

  /** The load now, for the next heartbeat. */
  tell(): { figures: NodeFigures; meters: Meters } {
    const rows = this.#counters.read();
    const max = this.#isWatched ? METERS_PER_HEARTBEAT_WATCHED_MAX : METERS_PER_HEARTBEAT_MAX;
    const beat = ++this.#beat;
    const found = meteredOf(rows).map((metered) => {
      const key = `${metered.kind} ${metered.id}`;
      return { key, metered, told: this.#known.told.get(key) };
    });
    const changed = found
      .filter(({ metered, told }) => told === undefined || hasChanged(metered, told.metered))
      .sort((a, b) => (a.told?.beat ?? 0) - (b.told?.beat ?? 0));
    const chosen = changed.slice(0, max);
    // What is gone is forgotten with this.
    const told = new Map<string, Told>();
    for (const { key, told: last } of found) if (last !== undefined) told.set(key, last);
    for (const { key, metered } of chosen) told.set(key, { metered, beat });
    const open = meteredConnections(rows);
    const connections = new Map(open.map(({ id, cells }) => [id, cells]));
    this.#pending = { told, connections };
    return {
      figures: nodeFigures(rows, this.#clock.nowMs() - this.#startedMs),
      meters: {
        rows: chosen.map(({ metered, told }) => meterOf(metered, told?.metered.cells ?? null)),
        whole: chosen.length === changed.length,
        connections: this.#busiest(open, max - chosen.length),
      },
    };
  }

  /** The connections that did most since the last heartbeat; `room` is what the meters left. */
  #busiest(open: readonly Metered[], room: number): Meters["connections"] {
    const max = this.#isWatched
      ? CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX
      : Math.floor(room / CONNECTION_METER_ROOM);
    const { connections } = this.#known;
    return open
      .map((metered) => {
        const before = connections.get(metered.id) ?? null;
        const answered = answeredOf(metered.cells) - (before === null ? 0 : answeredOf(before));
        return { metered, before, activity: answered + inFlightOf(metered.cells) };
      })
      .sort((a, b) => b.activity - a.activity)
      .slice(0, max)
      .map(({ metered, before }) => meterOf(metered, before));
  }

  /** The station has the last heartbeat. */
  answered({ watched = false }: { readonly watched?: boolean | undefined }): void {
    this.#isWatched = watched;
    if (this.#pending !== null) this.#known = this.#pending;
    this.#pending = null;
  }
}
