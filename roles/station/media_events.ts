import type { MediumInfo, StorageInfo } from "../../protocol/config/bodies.ts";
import type { Happening } from "./events.ts";

/** What became of a unit's media since it last told of them. Pure. */
export function mediaEvents(
  unit: string,
  told: { readonly before: StorageInfo | null; readonly now: StorageInfo },
): Happening[] {
  const before = new Map(told.before?.media.map((medium) => [medium.id, medium]));
  const happenings: Happening[] = [];
  for (const medium of told.now.media) {
    const was = before.get(medium.id);
    if ((was?.state ?? "ok") !== medium.state) happenings.push(happeningOf(unit, medium));
    else if (medium.state === "ok" && was !== undefined && medium.sequence < was.sequence) {
      happenings.push(olderOf(unit, { medium, was }));
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
  { medium, was }: { readonly medium: MediumInfo; readonly was: MediumInfo },
): Happening {
  const text = `Medium ${medium.path} of "${unit}" is older than before: its label has sequence ` +
    `${medium.sequence}, and had ${was.sequence}. The whole unit was put back to an older state, ` +
    "or is a clone: what hosts wrote since is not on it. Stop the unit, and bring the right " +
    "machine back; or check what is on its disks before they are used on.";
  return { kind: "medium.older", severity: "error", subject: unit, text };
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
