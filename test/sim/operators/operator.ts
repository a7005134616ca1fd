import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import type { Scene } from "../scenario/scene.ts";

/** What the operator does when the faults are over and something still differs. */
export class Operator {
  readonly #scene: Scene;
  /** When each remedy was last tried. */
  readonly #triedMs = new Map<string, number>();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  /** Reads what differs, and does what the texts ask of a person. */
  mend(differences: readonly string[]): void {
    const { units } = this.#scene;
    for (const text of differences) {
      const broken = /^(\S+)'s medium (\S+) is (poisoned|failed|missing)/.exec(text);
      const unit = units.find(({ plan }) => plan.name === broken?.[1]);
      if (unit !== undefined) this.#try(`restart ${unit.plan.name}`, () => unit.role.stop());
    }
  }

  #try(what: string, run: () => unknown): void {
    const { sim } = this.#scene;
    const last = this.#triedMs.get(what) ?? -Infinity;
    if (sim.nowMs() - last < 30_000) return;
    this.#triedMs.set(what, sim.nowMs());
    sim.say(`the operator: ${what}`);
    Promise.try(run).catch((error) => {
      if (!(error instanceof DvsanError)) throw error;
      sim.say(`the operator could not ${what}: ${messageOf(error)}`);
    });
  }
}
