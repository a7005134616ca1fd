import { BoundsChecker } from "../agreement/bounds.ts";
import { ExtentsChecker } from "../agreement/extents.ts";
import { makeDataCheckers } from "../checkers/all.ts";
import { NumbersChecker } from "../checkers/numbers.ts";
import { OrderChecker } from "../checkers/order.ts";
import { StrangersChecker } from "../checkers/strangers.ts";
import { WaitsChecker } from "../checkers/waits.ts";
import { ATTACKER_ADDRESS } from "../network/network.ts";
import type { Scene } from "./scene.ts";

/** Everything that watches a run. */
export function addCheckers(scene: Scene): void {
  const { sim, world } = scene;
  const strangers = new StrangersChecker(sim, ATTACKER_ADDRESS);
  world.network.onSent = (sent) => strangers.sent(sent);
  world.network.onCopy = (sent) => strangers.copyComes(sent);
  sim.checkers.push(...makeDataCheckers(sim, world.kernel).all, strangers);
  sim.checkers.push(new ExtentsChecker(scene), new BoundsChecker(scene));
  sim.checkers.push(new NumbersChecker(sim), new WaitsChecker(sim, scene.plan));
  if (scene.plan.story !== null) sim.checkers.push(new OrderChecker(sim));
}
