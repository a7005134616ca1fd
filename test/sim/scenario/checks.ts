import { makeDataCheckers } from "../checkers/all.ts";
import type { Scene } from "./scene.ts";

/** Everything that watches a run. */
export function addCheckers(scene: Scene): void {
  const { sim, world } = scene;
  sim.checkers.push(...makeDataCheckers(sim, world.kernel).all);
}
