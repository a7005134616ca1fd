import type { Generation } from "../../../protocol/config/bodies.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";

/**
 * Who gave an order is never older than whoever gave one before, and a generation is given once: as
 * units answer. For stories: media that are rolled back or wiped take what a unit knows with them.
 */
export class OrderChecker implements Checker {
  readonly name = "order";
  readonly #sim: Pick<Sim, "violated">;
  /** The highest that each unit obeyed. */
  readonly #epochs = new Map<string, number>();
  /** Volumes, by unit and generation. */
  readonly #granted = new Map<string, string>();

  constructor(sim: Pick<Sim, "violated">) {
    this.#sim = sim;
  }

  workerAnswered({ process, call, params, error }: WorkerAnswer): void {
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
