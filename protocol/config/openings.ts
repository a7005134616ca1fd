import { z } from "zod";
import { bytesEqual } from "../core/bytes.ts";
import { OPENING_ID_BYTES, OPENINGS_KEPT_MAX } from "../core/limits.ts";

/**
 * A unit's opening of a medium: its random id (OPENING_ID_BYTES, Uint8Array), and the sequence of
 * the label that was written at it.
 */
export const Opening = z.tuple([
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === OPENING_ID_BYTES,
    "8 bytes",
  ),
  z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
]);
export type Opening = z.infer<typeof Opening>;

/** The last openings of a medium, newest first. */
export const Openings = z.array(Opening).min(1).max(OPENINGS_KEPT_MAX);

/** What a medium was when it was seen: its openings, newest first, and its label's sequence. */
export const MediumPast = z.strictObject({
  openings: Openings,
  sequence: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
});
export type MediumPast = z.infer<typeof MediumPast>;

/** The openings with a newer one, as many as are kept. */
export function withOpening(openings: readonly Opening[], opening: Opening): Opening[] {
  return [opening, ...openings].slice(0, OPENINGS_KEPT_MAX);
}

/**
 * Whether a medium has come of what it was when `past` was seen. "no" is certain: it was put back
 * to before, or is a copy. "unknown": it was opened so often since that its label tells it no more.
 * What was put back to the very label of then has come of it, as far as labels tell.
 */
export function hasComeOf(now: MediumPast, past: MediumPast): "yes" | "no" | "unknown" {
  const { openings, sequence } = now;
  const at = openings.findIndex(([id]) => bytesEqual(id, past.openings[0]![0]));
  if (at === 0) return sequence >= past.sequence ? "yes" : "no";
  // The next opening found the label as it was seen, or a later one.
  if (at > 0) return openings[at - 1]![1] > past.sequence ? "yes" : "no";
  const isFull = openings.length === OPENINGS_KEPT_MAX;
  return isFull && openings.at(-1)![1] > past.sequence ? "unknown" : "no";
}
