import { z } from "zod";
import { Count, MediumInfo, Uuid } from "./bodies.ts";
import { MediumPast } from "./openings.ts";

/**
 * - `adopt`: the unit takes a medium over that it reports and does not serve: one that was labelled
 *   by another unit or cluster, that is an older copy, or whose one label copy is damaged. What it
 *   held is granted anew before anybody uses it. Also one that the unit serves and the station
 *   knows to be older than what was there: it is taken as it is, and its grants stay.
 * - `forget`: a missing medium is lost for good; what it held part of can be deleted from then on.
 * - `reopen`: a medium that failed or was poisoned is opened anew and used again; also one that was
 *   refused, by its path's id: what is there now is taken like at a start.
 */
export const MEDIUM_ACTIONS = ["adopt", "forget", "reopen"] as const;

/** What an operator decided about one medium of a unit. */
export const MediumChange = z.strictObject({
  station: z.strictObject({ epoch: Count, instance: z.string().max(64) }),
  mediumId: Uuid,
  action: z.enum(MEDIUM_ACTIONS),
  /** The sequence of the label that the operator was shown. */
  expectedSequence: Count,
  /** To adopt: what the station saw of it on this unit last. It goes on from there by its label. */
  past: MediumPast.optional(),
});
export type MediumChange = z.infer<typeof MediumChange>;

/** The medium afterwards; null: the unit knows it no more. */
export const MediumAnswer = z.strictObject({ medium: MediumInfo.nullable() });
