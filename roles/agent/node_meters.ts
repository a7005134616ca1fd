import type { NodeFigures } from "../../protocol/config/bodies.ts";
import type { Meters } from "../../protocol/config/meters.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import {
  METERS_PER_HEARTBEAT_MAX,
  METERS_PER_HEARTBEAT_WATCHED_MAX,
} from "../../protocol/core/limits.ts";
import { nodeFigures } from "../../storage/counters/figures.ts";
import { hasChanged, type Metered, meteredOf, meterOf } from "../../storage/counters/meters.ts";
import type { CounterReader } from "../../storage/counters/reader.ts";

interface Told {
  readonly metered: Metered;
  /** Number of the heartbeat. */
  readonly beat: number;
}

/**
 * What a node's heartbeats say of its load. Each tells of what changed since it was told last, and
 * of no more than fits beside the rest in one packet: what was told longest ago goes first. While
 * somebody watches, the station's answers say so, and everything that changed goes in each. Numbers
 * are sums, so a heartbeat that is lost or comes twice changes nothing.
 */
export class NodeMeters {
  readonly #counters: Pick<CounterReader, "read">;
  readonly #clock: Clock;
  readonly #startedMs: number;
  #told = new Map<string, Told>();
  /** Of the heartbeat under way: true once the station has it. */
  #pending: Map<string, Told> | null = null;
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
      return { key, metered, told: this.#told.get(key) };
    });
    const changed = found
      .filter(({ metered, told }) => told === undefined || hasChanged(metered, told.metered))
      .sort((a, b) => (a.told?.beat ?? 0) - (b.told?.beat ?? 0));
    const chosen = changed.slice(0, max);
    // What is gone is forgotten with this.
    const next = new Map<string, Told>();
    for (const { key, told } of found) if (told !== undefined) next.set(key, told);
    for (const { key, metered } of chosen) next.set(key, { metered, beat });
    this.#pending = next;
    return {
      figures: nodeFigures(rows, this.#clock.nowMs() - this.#startedMs),
      meters: {
        rows: chosen.map(({ metered, told }) => meterOf(metered, told?.metered.cells ?? null)),
        whole: chosen.length === changed.length,
      },
    };
  }

  /** The station has the last heartbeat. */
  answered({ watched = false }: { readonly watched?: boolean | undefined }): void {
    this.#isWatched = watched;
    if (this.#pending !== null) this.#told = this.#pending;
    this.#pending = null;
  }
}
