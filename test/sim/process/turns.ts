import type { Incarnation } from "./incarnation.ts";

/** Makes one event of all that an Io has to do at a moment. */
export function turnsOf(owner: Incarnation, turn: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue || !owner.alive) return;
    isDue = true;
    owner.sim.after(0, `${owner.name}: turn`, () => {
      isDue = false;
      if (owner.alive) turn();
    });
  };
}
