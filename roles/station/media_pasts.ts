import { z } from "zod";
import {
  type MediumInfo,
  type StorageInfo,
  Uuid,
  type VolumeInfo,
} from "../../protocol/config/bodies.ts";
import { hasComeOf, MediumPast } from "../../protocol/config/openings.ts";
import { MEDIA_PASTS_PER_UNIT_MAX } from "../../protocol/core/limits.ts";
import type { Plan, PlanStep } from "./plan.ts";

const Past = MediumPast.extend({
  /** What is there now has not come of it. */
  older: z.literal(true).optional(),
});
type Past = z.infer<typeof Past>;

/** What a unit's media were when they were seen last, by id; those seen last are at the end. */
export const MediaPasts = z.record(Uuid, Past);
export type MediaPasts = z.infer<typeof MediaPasts>;

/**
 * The same after the unit told of them. A medium that has not come of what it was is `older`, and
 * what it was is kept, until one that has come of it is there: the right one, or one that an
 * operator puts in its place, whose label says so from then on. Pure.
 */
export function pastsAfter(pasts: MediaPasts, { media }: StorageInfo): MediaPasts {
  const all = new Map(Object.entries(pasts));
  for (const { id, openings, sequence } of media) {
    if (openings === undefined) continue;
    const past = all.get(id);
    const now: Past = { openings, sequence };
    all.delete(id);
    all.set(id, past === undefined || isThatOne(now, past) ? now : { ...past, older: true });
  }
  return Object.fromEntries([...all].slice(-MEDIA_PASTS_PER_UNIT_MAX));
}

/** An older one stays so, also when it is opened until its label tells it no more. */
function isThatOne(now: Past, past: Past): boolean {
  const answer = hasComeOf(now, past);
  return answer === "yes" || (answer === "unknown" && past.older !== true);
}

/** What a medium was before, that is not what has come of it; null for any other. */
export function olderThan(
  pasts: MediaPasts,
  { id, openings }: Pick<MediumInfo, "id" | "openings">,
): MediumPast | null {
  const past = pasts[id];
  if (openings === undefined || past?.older !== true) return null;
  return { openings: past.openings, sequence: past.sequence };
}

/**
 * What is done about a volume that has a part on such a medium: nobody is granted more of it. Whom
 * its last grant had shut out, an older label lets in again: that is fenced all the same.
 */
export function withoutGrants(plan: Plan, held: VolumeInfo | null): Plan {
  if (plan.step?.kind !== "grant") return plan;
  const { volume: { id: volumeId }, sequence } = plan.step;
  const generation = held?.grant?.generation;
  const step: PlanStep | null = plan.destroys && generation !== undefined
    ? { kind: "revoke", volumeId, generation, sequence }
    : null;
  const why = "a medium of it is older than before, and waits for an operator to decide";
  return { ...plan, step, difference: `${plan.difference}, but ${why}` };
}
