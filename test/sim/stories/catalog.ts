import { MIB } from "../../../protocol/core/limits.ts";
import { loseCatalog } from "../faults/station.ts";

import type { Scene } from "../scenario/scene.ts";
import { agree } from "../scenario/settle.ts";
import { pass, reach } from "./story.ts";

/** A station without catalog and marks finds its volumes again, and then somebody wants a disk. */
export async function catalogLost(scene: Scene): Promise<void> {
  const { sim, users, station } = scene;
  for (let i = 0; i < 2; i++) {
    station.end("killed");
    loseCatalog(scene);
    await agree(scene);
    sim.later(10, "somebody wants another disk", () => users.request());
    await pass(scene, 2000);
  }
}

/**
 * The same, when units have obeyed higher epochs than the first: the station begins again at that
 * one and must go above what they tell.
 */
export async function catalogLostLater(scene: Scene): Promise<void> {
  const { users, station } = scene;
  for (let i = 0; i < 3; i++) {
    station.stop();
    await reach(scene, "the station is gone", () => !station.isReady);
    await reach(scene, "the station is back", () => station.isReady);
  }
  const madeLate = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made in a higher epoch", () => madeLate.state === "made");
  station.end("killed");
  loseCatalog(scene);
  await agree(scene);
  const madeAfter = users.request({ sizeBytes: MIB })!;
  await reach(scene, "a disk is made after the loss", () => madeAfter.state === "made");
}
