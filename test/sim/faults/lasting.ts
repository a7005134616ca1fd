import type { Scene } from "../scenario/scene.ts";

const LEAST_MS = 50;
const MOST_MS = 30_000;

/** How long a fault lasts: mostly short, sometimes long. */
export function someTime(scene: Scene): number {
  return LEAST_MS * (MOST_MS / LEAST_MS) ** scene.sim.fraction();
}

/** A fault that is taken back after a time, or when all faults end. */
export function lasting(
  scene: Scene,
  fault: { readonly what: string; readonly undo: () => void; readonly forMs?: number },
): void {
  const { sim, heals } = scene;
  const heal = () => {
    if (!heals.delete(heal)) return;
    alarm.cancel();
    sim.touch();
    sim.say(`over: ${fault.what}`);
    fault.undo();
  };
  heals.add(heal);
  sim.say(fault.what);
  const alarm = sim.later(fault.forMs ?? someTime(scene), `the end of: ${fault.what}`, heal);
}
