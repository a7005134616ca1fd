import type { Scene } from "../scenario/scene.ts";
import { isDataWrite, pass, passTime, reach } from "./story.ts";

const HELD_MS = 4000;

/**
 * A write stays in the unit's device for seconds. Meanwhile its connection is lost, and its host
 * comes back, which may repeat it and write the block again only once it has ended.
 */
export async function heldWrite(scene: Scene): Promise<void> {
  const { world: { kernel } } = scene;
  for (let i = 0; i < 12; i++) {
    let isHeld = false;
    kernel.mediaFault = (call) => {
      if (isHeld || !isDataWrite(scene, call)) return "ok";
      isHeld = true;
      return "hold";
    };
    await reach(scene, "a write is held", () => isHeld);
    kernel.faults.reset = 1;
    await pass(scene, 40);
    kernel.faults.reset = 0;
    await passTime(scene, HELD_MS);
    kernel.releaseHeld();
    await pass(scene, 300);
  }
  kernel.mediaFault = () => "ok";
}

/**
 * A unit loses its power, its hosts replay what was not flushed, and are killed in the middle of
 * that: what they had not brought yet, nobody will.
 */
export async function hostEndsInReplay(scene: Scene): Promise<void> {
  const { sim, world: { kernel }, units, hosts } = scene;
  for (let i = 0; i < 25; i++) {
    await pass(scene, 200);
    for (const { role: { machine } } of units) {
      machine.cutPower();
      machine.switchOn();
    }
    let writes = 1 + sim.below(4);
    kernel.mediaFault = (call) => {
      if (isDataWrite(scene, call)) writes--;
      return "ok";
    };
    await reach(scene, "hosts write again", () => writes <= 0);
    for (const { role } of hosts) role.end("killed");
  }
  kernel.mediaFault = () => "ok";
}
