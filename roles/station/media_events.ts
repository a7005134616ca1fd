import type { MediumInfo, StorageInfo } from "../../protocol/config/bodies.ts";
import type { Happening } from "./events.ts";

/** What became of a unit's media since it last told of them. Pure. */
export function mediaEvents(
  unit: string,
  told: { readonly before: StorageInfo | null; readonly now: StorageInfo },
): Happening[] {
  const before = new Map(told.before?.media.map((medium) => [medium.id, medium.state]));
  const happenings: Happening[] = [];
  for (const medium of told.now.media) {
    const was = before.get(medium.id) ?? "ok";
    if (was !== medium.state) happenings.push(happeningOf(unit, medium));
  }
  return happenings;
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
