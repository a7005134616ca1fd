import type { MediumInfo } from "../../protocol/config/bodies.ts";
import type { DifferenceView } from "../../web/station_api.ts";
import { serverOf } from "./away_units.ts";
import type { NodeRow } from "./catalog/rows.ts";
import { putBackWords } from "./media_events.ts";
import { canAdopt, neededWords, rivalWords } from "./medium_orders.ts";
import type { Pool } from "./pool.ts";

type Unit = Pick<NodeRow, "id" | "name">;

/** Why a medium is not served, and what an operator can do about it; null when it is served. */
export function mediumDifference(
  pool: Pool,
  unit: Unit,
  medium: MediumInfo,
): DifferenceView | null {
  if (medium.state === "ok") return null;
  const isElsewhere = medium.state === "missing"
    ? elsewhereWords(pool, unit, medium)
    : servedWords(pool, unit, medium) ?? adoptableRivals(pool, unit, medium);
  const name = medium.path === "" ? medium.id : medium.path;
  return {
    kind: "medium",
    subject: `medium ${name} of unit "${unit.name}"`,
    wanted: "that it is served",
    held: `${medium.state}: ${medium.reason ?? "the unit gives no reason"}`,
    will: "nothing by itself",
    onConfirm: null,
    waits: isElsewhere ?? mediumAdvice(unit.name, medium),
  };
}

/** A medium that is not what has come of what it was here before; null for any other. */
export function olderDifference(
  pool: Pool,
  unit: Unit,
  { id, path, openings }: MediumInfo,
): DifferenceView | null {
  const past = openings === undefined ? null : pool.observed.olderThan(unit.id, id);
  if (past === null) return null;
  return {
    kind: "medium",
    subject: `medium ${path} of unit "${unit.name}"`,
    wanted: "what has come of the medium that was here before",
    held: `older: ${putBackWords(past)}; what hosts wrote and flushed since may be gone from it`,
    will: "goes on as it is, and grants nobody anything more on it",
    onConfirm: null,
    waits: "the right machine, with its media and its state directory; or an operator who takes " +
      `what is there: dvsan ctl media adopt ${unit.name} ${id} --yes`,
  };
}

/** It is missing here, and another unit has it: whoever gave it up for lost would be wrong. */
function elsewhereWords(pool: Pool, unit: Unit, { id }: MediumInfo): string | null {
  for (const other of pool.catalog.nodes.values()) {
    if (other.role !== "unit" || other.id === unit.id) continue;
    const found = pool.observed.fresh(other.id)?.media.find((one) =>
      one.id === id && one.state !== "missing"
    );
    if (found === undefined) continue;
    const needs = neededWords(other.name, found);
    const there = `unit "${other.name}" has it (${found.path}, ${found.state})`;
    return found.state === "ok"
      ? `${there}; once nothing here needs it any more: dvsan ctl media forget ${unit.name} ${id}`
      : needs !== null
      ? `${there}: bring it back; or there, ${needs}`
      : `${there}: bring it back, or adopt it there: dvsan ctl media adopt ${other.name} ${id}`;
  }
  return null;
}

/** Another unit serves it, so that it cannot be adopted here; null when none does. */
function servedWords(pool: Pool, unit: Unit, { id }: MediumInfo): string | null {
  const server = serverOf(pool, { unit, mediumId: id });
  return server === null
    ? null
    : `an operator who takes it away from here: unit "${server.name}" serves it, and this is a ` +
      "copy, or the same device, which must not be wiped";
}

/** One that could be adopted if no other device here had its id. */
function adoptableRivals(pool: Pool, unit: Unit, medium: MediumInfo): string | null {
  return canAdopt(medium.state) ? rivalWords(pool, unit, medium) : null;
}

/** What an operator can do about a medium that is not served. */
function mediumAdvice(unit: string, medium: MediumInfo): string {
  const { state, id, path } = medium;
  const needs = neededWords(unit, medium);
  if (needs !== null) return needs;
  switch (state) {
    case "foreign":
    case "stale":
    case "moved":
    case "quarantined":
      return `the right medium, or an operator: dvsan ctl media adopt ${unit} ${id}`;
    case "missing":
      return `the medium; if it is lost for good: dvsan ctl media forget ${unit} ${id}`;
    case "poisoned":
    case "failed":
      return `an operator who has seen to the device: dvsan ctl media reopen ${unit} ${id}`;
    case "duplicate":
      return "an operator who takes one of the two away";
    default:
      return "an operator who sees to why the unit refuses it, and then: " +
        `dvsan ctl media reopen ${unit} ${path}`;
  }
}
