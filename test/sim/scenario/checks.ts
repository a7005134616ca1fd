import type { Scene } from "./scene.ts";

/** Everything that watches a run. */
export function addCheckers(scene: Scene): void {
  scene.sim.checkers.push();
}
