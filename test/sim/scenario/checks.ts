import { BoundsChecker } from "../agreement/bounds.ts";
import { isRecovered } from "../agreement/catalog.ts";
import { ExtentsChecker } from "../agreement/extents.ts";
import { makeDataCheckers } from "../checkers/all.ts";
import { NumbersChecker } from "../checkers/numbers.ts";
import { OrderChecker } from "../checkers/order.ts";
import { RecoveredChecker } from "../checkers/recovered.ts";
import { StrangersChecker } from "../checkers/strangers.ts";
import { WaitsChecker } from "../checkers/waits.ts";
import { ATTACKER_ADDRESS } from "../network/network.ts";
import type { Scene } from "./scene.ts";

/** Everything that watches a run. */
export function addCheckers(scene: Scene): void {
  const { sim, world } = scene;
  const machines = () => [...world.machines.values()];
  const strangers = new StrangersChecker(sim, ATTACKER_ADDRESS);
  const recovered = new RecoveredChecker(sim, {
    machineAt: (address) => machines().find((machine) => machine.address === address)?.name ?? "",
    isKept: (station) => isRecovered(world.machines.get(station)!),
  });
  world.network.onSent = (sent) => {
    strangers.sent(sent);
    recovered.sent(sent);
  };
  world.network.onCopy = (sent) => strangers.copyComes(sent);
  sim.checkers.push(...makeDataCheckers(sim, world.kernel).all, strangers, recovered);
  sim.checkers.push(new ExtentsChecker(scene), new BoundsChecker(scene));
  sim.checkers.push(new NumbersChecker(sim), new WaitsChecker(sim, scene.plan));
  if (scene.plan.story !== null) sim.checkers.push(new OrderChecker(sim));
}
