import { MIB } from "../../../protocol/core/limits.ts";
import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import type { Scene } from "../scenario/scene.ts";
import { pass, reach } from "./story.ts";

/** More than one of the story's media holds. */
const TWO_MEDIA_BYTES = 40 * MIB;

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

/** A unit starts, and later finds its medium as it was before that start: a snapshot put back. */
export async function rolledBackToBeforeStart(scene: Scene): Promise<void> {
  const { world: { kernel }, units: [unit] } = scene;
  const { role, plan } = unit!;
  const medium = kernel.media.get(plan.devices[0]!)!;
  for (let i = 0; i < 3; i++) {
    role.end("killed");
    const old = medium.image();
    await pass(scene, 600);
    role.end("killed");
    const right = medium.image();
    medium.restore(old);
    await pass(scene, 600);
    role.end("killed");
    medium.restore(right);
    await pass(scene, 300);
  }
}

/** A disk lies on two media, and its unit starts without one of them. */
export async function mediumAway(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, users, units: [unit] } = scene;
  const { role, plan } = unit!;
  const disk = users.request({ sizeBytes: TWO_MEDIA_BYTES })!;
  await reach(scene, `${disk.key} is there`, () => disk.state === "made");
  for (let i = 0; i < 4; i++) {
    await pass(scene, 400);
    const path = sim.pick(plan.devices);
    const aside = `/elsewhere/${i}.img`;
    role.end("killed");
    kernel.moveMedium(path, aside);
    await pass(scene, 600);
    role.end("killed");
    kernel.moveMedium(aside, path);
  }
}
