import type { MediumInfo, StorageInfo } from "../../protocol/config/bodies.ts";
import type { MediumPast } from "../../protocol/config/openings.ts";
import type { Happening } from "./events.ts";
import { type MediaPasts, olderThan } from "./media_pasts.ts";

/** What a unit told, and what its media were before. */
export interface Told {
  readonly info: StorageInfo;
  readonly pasts: MediaPasts;
}

/** What became of a unit's media since it last told of them. Pure. */
export function mediaEvents(
  unit: string,
  told: { readonly before: Told | null; readonly now: Told },
): Happening[] {
  const before = new Map(told.before?.info.media.map((medium) => [medium.id, medium]));
  const happenings: Happening[] = [];
  for (const medium of told.now.info.media) {
    const was = before.get(medium.id);
    const past = olderThan(told.now.pasts, medium);
    const isNew = past !== null && olderThan(told.before?.pasts ?? {}, medium) === null;
    if (isNew) happenings.push(olderOf(unit, { medium, past }));
    // That it is in use is no good news then.
    const isSaid = isNew && medium.state === "ok";
    if ((was?.state ?? "ok") !== medium.state && !isSaid) {
      happenings.push(happeningOf(unit, medium));
    }
  }
  return happenings;
}

/**
 * A unit knows an older copy by what it remembers itself. Where that was put back together with its
 * media, as a snapshot of its whole machine does it, nobody but the station remembers more.
 */
function olderOf(
  unit: string,
  { medium, past }: { readonly medium: MediumInfo; readonly past: MediumPast },
): Happening {
  const text = `Medium ${medium.path} of "${unit}" is older than before: ${putBackWords(past)}. ` +
    "What hosts wrote and flushed since may be gone from it. Stop the unit, and bring the right " +
    "machine back; or take what is there: dvsan ctl media adopt " +
    `${unit} ${medium.id} --yes`;
  return { kind: "medium.older", severity: "error", subject: unit, text };
}

/** Of a medium that has not come of what it was. */
export function putBackWords({ sequence }: MediumPast): string {
  return `its label has not come of the one that it had last (sequence ${sequence}), so the ` +
    "whole unit was put back to an older state, or is a clone of before";
}

function happeningOf(unit: string, medium: MediumInfo): Happening {
  const { state, reason } = medium;
  const name = medium.path === "" ? medium.id : medium.path;
  const text = state === "ok"
    ? `Medium ${name} of "${unit}" is in use again.`
    : `Medium ${name} of "${unit}" is ${state}: ${reason ?? "the unit gives no reason"}.`;
  return { kind: `medium.${state}`, severity: severityOf(state), subject: unit, text };
}

/** Data is out of reach or in danger, or only something offered is not used. */
function severityOf(state: MediumInfo["state"]): Happening["severity"] {
  switch (state) {
    case "ok":
      return "info";
    case "foreign":
    case "duplicate":
    case "refused":
      return "warn";
    default:
      return "error";
  }
}
