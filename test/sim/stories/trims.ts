import type { Mix } from "../consumers/workload.ts";
import type { Scene } from "../scenario/scene.ts";
import { flushAll, readAll } from "./flushes.ts";
import { passTime } from "./story.ts";

const ROUNDS = 6;
const MIX: Mix = [["trim", 40], ["write", 30], ["read", 24], ["flush", 6]];

/**
 * Blocks are discarded and written again, on devices that show anything after a discard, and their
 * unit loses its power: a host repeats a TRIM that nothing has replaced and no flush covered, and
 * no other.
 */
export async function trimsRepeated(scene: Scene): Promise<void> {
  const { users, units: [unit] } = scene;
  const { machine } = unit!.role;
  for (const { workload } of users.disks) workload.mix = MIX;
  for (let round = 0; round < ROUNDS; round++) {
    for (const isFlushed of [false, true]) {
      await passTime(scene, 1500);
      if (isFlushed) await flushAll(scene);
      if (isFlushed) await readAll(scene);
      machine.cutPower();
      machine.switchOn();
      await readAll(scene);
    }
  }
}
