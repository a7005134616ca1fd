import type { NodeFigures } from "../../protocol/config/bodies.ts";
import type { Meter, Meters } from "../../protocol/config/meters.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import {
  CONNECTIONS_BYTES_WATCHED_MAX,
  CONNECTIONS_PER_HEARTBEAT_MAX,
  METERS_BYTES_MAX,
  METERS_BYTES_WATCHED_MAX,
  METERS_PER_HEARTBEAT_MAX,
} from "../../protocol/core/limits.ts";
import { nodeFigures } from "../../storage/counters/figures.ts";
import {
  hasChanged,
  meterBytes,
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
    const room = this.#isWatched ? METERS_BYTES_WATCHED_MAX : METERS_BYTES_MAX;
    const beat = ++this.#beat;
    const found = meteredOf(rows).map((metered) => {
      const key = `${metered.kind} ${metered.id}`;
      return { key, metered, told: this.#known.told.get(key) };
    });
    const changed = found
      .filter(({ metered, told }) => told === undefined || hasChanged(metered, told.metered))
      .sort((a, b) => (a.told?.beat ?? 0) - (b.told?.beat ?? 0));
    const meters = fitting(changed.slice(0, METERS_PER_HEARTBEAT_MAX), { room, atLeast: 1 });
    const chosen = changed.slice(0, meters.rows.length);
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
        rows: meters.rows,
        whole: chosen.length === changed.length,
        connections: this.#busiest(open, room - meters.bytes),
      },
    };
  }

  /** The connections that did most since the last heartbeat; `left` is what the meters left. */
  #busiest(open: readonly Metered[], left: number): Meter[] {
    const { connections } = this.#known;
    const busiest = open
      .map((metered) => {
        const before = connections.get(metered.id);
        const answered = answeredOf(metered.cells) -
          (before === undefined ? 0 : answeredOf(before));
        return { metered, activity: answered + inFlightOf(metered.cells) };
      })
      .sort((a, b) => b.activity - a.activity)
      .slice(0, CONNECTIONS_PER_HEARTBEAT_MAX);
    const room = this.#isWatched ? CONNECTIONS_BYTES_WATCHED_MAX : left;
    return fitting(busiest, { room, atLeast: 0 }).rows;
  }

  /** The station has the last heartbeat. */
  answered({ watched = false }: { readonly watched?: boolean | undefined }): void {
    this.#isWatched = watched;
    if (this.#pending !== null) this.#known = this.#pending;
    this.#pending = null;
  }
}

/** The first so many that fit into `room` bytes; `atLeast` of them in any case. */
function fitting(
  things: readonly { readonly metered: Metered }[],
  { room, atLeast }: { readonly room: number; readonly atLeast: number },
): { readonly rows: Meter[]; readonly bytes: number } {
  const rows: Meter[] = [];
  let bytes = 0;
  for (const { metered } of things) {
    const meter = meterOf(metered);
    const more = meterBytes(meter);
    if (rows.length >= atLeast && bytes + more > room) break;
    bytes += more;
    rows.push(meter);
  }
  return { rows, bytes };
}
