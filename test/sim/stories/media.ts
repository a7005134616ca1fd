import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import type { Scene } from "../scenario/scene.ts";
import { pass } from "./story.ts";

/** Writing back fails for one disk; the other one of the medium hears of it by its own flush. */
export async function syncsFail(scene: Scene): Promise<void> {
  const { world: { kernel }, users, units: [unit] } = scene;
  const { machine } = unit!.role;
  users.request();
  kernel.faults.delayedMs = [1, 50];
  for (let i = 0; i < 15; i++) {
    kernel.faults.syncError = 1;
    await pass(scene, 150);
    kernel.faults.syncError = 0;
    await pass(scene, 300);
    machine.cutPower();
    machine.switchOn();
    await pass(scene, 400);
  }
  Object.assign(kernel.faults, NO_FAULTS);
}
