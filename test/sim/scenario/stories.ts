import { loseCatalog } from "../faults/station.ts";
import { NO_FAULTS } from "../../../storage/io/sim_faults.ts";
import type { Scene } from "./scene.ts";
import { agree } from "./settle.ts";

/**
 * What is too rare for chance, told step by step; the seed still decides on the weather of each
 * step. Checkers, settling and the last reads are those of every run.
 */
export const STORY_NAMES = ["catalog-lost", "syncs-fail"] as const;
export type StoryName = typeof STORY_NAMES[number];

export const STORIES: Readonly<Record<StoryName, (scene: Scene) => Promise<void>>> = {
  "catalog-lost": catalogLost,
  "syncs-fail": syncsFail,
};

/** A station without catalog and marks finds its volumes again, and then somebody wants a disk. */
async function catalogLost(scene: Scene): Promise<void> {
  const { sim, users, station } = scene;
  for (let i = 0; i < 2; i++) {
    station.end("killed");
    loseCatalog(scene);
    await agree(scene);
    sim.later(10, "somebody wants another disk", () => users.request());
    await pass(scene, 2000);
  }
}

/** Writing back fails for one disk; the other one of the medium hears of it by its own flush. */
async function syncsFail(scene: Scene): Promise<void> {
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

async function pass({ sim }: Scene, steps: number): Promise<void> {
  await sim.run({ until: () => false, steps });
}
