import type { SimMediumOptions } from "../../../storage/io/sim_medium.ts";
import type { Sim } from "../types.ts";
import type { Plan } from "./plan.ts";

/** A new medium as the plan has them. */
export function mediumOf(plan: Plan, sim: Pick<Sim, "chance">): SimMediumOptions {
  const { mediumBytes: sizeBytes, mediumKind: kind, tearBytes, zeroesFast, inMemoryShare } = plan;
  const inMemory = sim.chance(inMemoryShare) && kind === "file";
  return { sizeBytes, kind, tearBytes, inMemory, zeroesFast };
}
