import { FAIR } from "../network/network.ts";
import type { Scene } from "../scenario/scene.ts";
import { pass } from "./story.ts";

/**
 * Somebody without a key sends a copy of every other packet, or of an old one, from a place of its
 * own, while some originals are lost; nodes are started anew meanwhile, and users want something.
 */
export async function attackerCopies(scene: Scene): Promise<void> {
  const { sim, world: { network }, units, hosts, users } = scene;
  network.shadows = 0.5;
  network.weather = { ...FAIR, loss: 0.2, delayMsMax: 10 };
  for (let i = 0; i < 8; i++) {
    sim.pick([...units, ...hosts]).role.stop();
    sim.later(10, "somebody wants something", () => users.act());
    await pass(scene, 800);
  }
  network.shadows = 0;
  network.weather = { ...FAIR };
}
