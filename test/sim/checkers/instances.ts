import type { StorageInfo } from "../../../protocol/config/bodies.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";
import { copiesThatStay } from "./label_copies.ts";

interface Named {
  readonly epoch: number;
  readonly instance: string;
}

/**
 * A unit that has obeyed one instance of a station in an epoch obeys no other one in it, whatever
 * is restarted: so its labels never name another. One of which a medium is away, or not as it was,
 * may know of an older station only.
 */
export class InstancesChecker implements Checker {
  readonly name = "instances";
  readonly #sim: Pick<Sim, "violated">;
  readonly #media: ReadonlyMap<string, SimMedium>;
  /** By unit. */
  readonly #named = new Map<string, Named>();
  /** Looks at what labels name. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated">, media: ReadonlyMap<string, SimMedium>) {
    this.#sim = sim;
    this.#media = media;
  }

  workerAnswered({ process, call, result, error }: WorkerAnswer): void {
    if (error !== null || call !== "storageInfo") return;
    const { media } = result as StorageInfo;
    if (media.some(({ state }) => state !== "ok")) return void this.#named.delete(process);
    const now = this.#namedBy(process);
    if (now === null || now.instance === "") return;
    this.judged++;
    const before = this.#named.get(process);
    this.#named.set(process, now);
    if (before?.epoch !== now.epoch || before.instance === now.instance) return;
    const text = `${process}'s labels name station instance ${now.instance} of epoch ` +
      `${now.epoch}, and named ${before.instance} of that epoch before`;
    this.#sim.violated(this.name, text);
  }

  /** The highest that is durable on a medium which the unit has open. */
  #namedBy(unit: string): Named | null {
    let named: Named | null = null;
    for (const medium of this.#media.values()) {
      if (!medium.held || !medium.path.startsWith(`/${unit}/`)) continue;
      for (const { label } of copiesThatStay(medium)) {
        if (named === null || label.epoch > named.epoch) named = label;
      }
    }
    return named;
  }
}
