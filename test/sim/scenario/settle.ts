import type { Scene } from "./scene.ts";

/** Waits until everything agrees again; that it never does is a failure of its own. */
export async function settle(scene: Scene): Promise<void> {
  const { sim } = scene;
  await sim.run({ until: () => false, steps: 2000 });
}
