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
    this.#next();
  }

  end(): void {
    this.#isOver = true;
    this.#scene.isHealed = true;
    for (const heal of [...this.#scene.heals]) heal();
  }

  #next(): void {
    const { sim, plan } = this.#scene;
    if (plan.faults.length === 0) return;
    const pauseMs = -plan.faultPauseMs * Math.log(1 - sim.fraction());
    const kind = sim.pick(plan.faults);
    sim.later(pauseMs, `fault: ${kind}`, () => {
      if (this.#isOver) return;
      STRIKES[kind](this.#scene);
      this.#next();
    });
  }
}
