import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { COPY_SHOWN_MS } from "../../protocol/core/limits.ts";
import type { DifferenceView } from "../../web/station_api.ts";
import type { NodeRow } from "./catalog/rows.ts";
import type { Pool } from "./pool.ts";
import { timeText } from "./words.ts";

type Unit = Pick<NodeRow, "id" | "name">;

const WHEN_BACK = "compares again once the unit tells what it holds";

/**
 * Units that are away, and media that they were the last to tell of as theirs and that another unit
 * serves by now. All that is shown of such a unit is what it told last: nobody is to read it as
 * what is so now.
 */
export function awayDifferences(pool: Pool, units: readonly NodeRow[]): DifferenceView[] {
  return units.filter(({ admission }) => admission === "admitted").flatMap((unit) => {
    const away = pool.nodes.reason(unit.id);
    // One that is copied is there, twice: see copiedDifferences.
    if (
      away === null || pool.nodes.isOnline(unit.id) || pool.observed.unbelieved(unit.id) !== null
    ) return [];
    const told = pool.observed.last(unit.id);
    const held = told === null
      ? "not known: it did not tell yet"
      : `not known; it last told of ${told.media.length} media and ${told.volumes.length} volumes`;
    return [
      {
        kind: "unit",
        subject: `unit "${unit.name}"`,
        wanted: "that it tells what it holds",
        held,
        will: WHEN_BACK,
        onConfirm: null,
        waits: `unit "${unit.name}", which is away: ${away}`,
      },
      ...(told?.media ?? []).flatMap((medium) => movedDifference(pool, { unit, medium, away })),
    ];
  });
}

/** Nodes whose identity two processes use: what they tell by turns is not of one of them. */
export function copiedDifferences({ catalog, nodes }: Pool): DifferenceView[] {
  return [...catalog.nodes.values()].filter(({ id }) => nodes.isCopied(id)).map((row) => ({
    kind: row.role,
    subject: `${row.role} "${row.name}"`,
    wanted: "that one process uses its identity",
    held: "two did by turns: its state directory was copied, or its machine cloned",
    will: "nothing by itself",
    onConfirm: null,
    waits: "an operator who stops one of them, and gives the copy a directory of its own; " +
      `told until ${timeText(COPY_SHOWN_MS)} after the last sign of it`,
  }));
}

function movedDifference(
  pool: Pool,
  { unit, medium, away }: {
    readonly unit: Unit;
    readonly medium: MediumInfo;
    readonly away: string;
  },
): DifferenceView[] {
  const server = medium.state === "ok" ? serverOf(pool, { unit, mediumId: medium.id }) : null;
  if (server === null) return [];
  return [{
    kind: "medium",
    subject: `medium ${medium.path} of unit "${unit.name}"`,
    wanted: `that unit "${server.name}" serves it, and nobody else`,
    held: `ok, as unit "${unit.name}" last told; unit "${server.name}" serves it now`,
    will: WHEN_BACK,
    onConfirm: null,
    waits: `unit "${unit.name}", which is away: ${away}`,
  }];
}

/**
 * A revoked unit is told nothing any more, and never heard again: what it told last is of account
 * only for what is still wanted of it. Its media may come to another unit.
 */
export function isRevoked({ catalog }: Pool, unitId: string): boolean {
  return catalog.nodes.get(unitId)?.admission === "revoked";
}

/** The unit that serves a medium now, other than `unit`; null when none does. */
export function serverOf(
  pool: Pool,
  { unit, mediumId }: { readonly unit: Unit; readonly mediumId: string },
): NodeRow | null {
  for (const other of pool.catalog.nodes.values()) {
    if (other.id === unit.id || !pool.nodes.isOnline(other.id)) continue;
    const media = pool.observed.fresh(other.id)?.media ?? [];
    if (media.some(({ id, state }) => id === mediumId && state === "ok")) return other;
  }
  return null;
}
