import type { Generation } from "../../../protocol/config/bodies.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";

/** What a station sent before it knew that it is behind may be on its way for so long. */
const UNDER_WAY_MS = 100;

/**
 * Who gave an order is never older than whoever gave one before, and a generation is given once: as
 * units answer. A station that says that it is behind orders nothing to be deleted or fenced until
 * an operator has confirmed. For stories, in which packets are not late: and media that are rolled
 * back or wiped take what a unit knows with them.
 */
export class OrderChecker implements Checker {
  readonly name = "order";
  readonly #sim: Pick<Sim, "violated" | "nowMs">;
  /** The station that is behind, and since when it has said so. */
  #behind: { readonly process: string; readonly sinceMs: number } | null = null;
  /** The highest that each unit obeyed. */
  readonly #epochs = new Map<string, number>();
  /** Volumes, by unit and generation. */
  readonly #granted = new Map<string, string>();

  constructor(sim: Pick<Sim, "violated" | "nowMs">) {
    this.#sim = sim;
  }

  happened({ process, kind }: { readonly process: string; readonly kind: string }): void {
    if (kind === "station.recovered") this.#behind = { process, sinceMs: this.#sim.nowMs() };
    const isAnother = kind === "station.started" && this.#behind?.process !== process;
    if (kind === "station.confirmed" || isAnother) this.#behind = null;
  }

  workerAnswered({ process, call, params, error, askedAtMs }: WorkerAnswer): void {
    const destroys = call === "volumeDelete" || call === "accessRevoke";
    if (error === null && destroys && this.#behind !== null) {
      if (askedAtMs > this.#behind.sinceMs + UNDER_WAY_MS) {
        const text = `${process} was told by ${this.#behind.process}, which is behind: ${call}`;
        this.#sim.violated(this.name, text);
      }
    }
    if (error !== null || typeof params !== "object" || params === null) return;
    const { station, volumeId, generation } = params as Partial<Order>;
    if (station !== undefined) this.#obeyed(process, station.epoch);
    if (call !== "accessGrant" || generation === undefined || volumeId === undefined) return;
    const key = `${process} ${generation.epoch}.${generation.counter}`;
    const other = this.#granted.get(key);
    this.#granted.set(key, volumeId);
    if (other === undefined || other === volumeId) return;
    const text =
      `generation ${generation.epoch}.${generation.counter} on ${process} was given to ` +
      `volume ${other}, and again to ${volumeId}`;
    this.#sim.violated(this.name, text);
  }

  #obeyed(unit: string, epoch: number): void {
    const highest = this.#epochs.get(unit) ?? 0;
    this.#epochs.set(unit, Math.max(highest, epoch));
    if (epoch >= highest) return;
    const text = `${unit} obeyed a station of epoch ${epoch} after one of epoch ${highest}`;
    this.#sim.violated(this.name, text);
  }
}

/** What messages that change a unit have in common. */
interface Order {
  readonly station: { readonly epoch: number };
  readonly volumeId: string;
  readonly generation: Generation;
}
