import { STRIKES } from "./table.ts";
import type { Scene } from "../scenario/scene.ts";

/** Strikes from time to time, with the kinds of the plan, until it ends; then nothing is left. */
export class Faults {
  readonly #scene: Scene;
  #isOver = false;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  begin(): void {
    const { sim, plan } = this.#scene;
    if (plan.faults.length === 0) return;
    let next = this.#nextStep();
    sim.afterEvent.push(() => {
      if (this.#isOver || sim.step < next) return;
      next = this.#nextStep();
      const kind = sim.pick(plan.faults);
      sim.later(0, `fault: ${kind}`, () => {
        if (!this.#isOver) STRIKES[kind](this.#scene);
      });
    });
  }

  end(): void {
    this.#isOver = true;
    this.#scene.isHealed = true;
    for (const heal of [...this.#scene.heals]) heal();
  }

  /** By events and not by time: a busy run is struck as often as a quiet one. */
  #nextStep(): number {
    const { sim, plan } = this.#scene;
    return sim.step + Math.ceil(-plan.faultPauseSteps * Math.log(1 - sim.fraction()));
  }
}
