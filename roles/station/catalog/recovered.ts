import { z } from "zod";
import type { Catalog, Change } from "./catalog.ts";

const STATE_KEY = "state";
const REASONS_KEY = "reasons";
const REASON_CHARACTERS_MAX = 4000;
const Reasons = z.array(z.string());

/** Why the station is in recovered state (control.md §4), in sentences; null when it is not. */
export function recoveredReasons({ meta }: Pick<Catalog, "meta">): string[] | null {
  if (meta.get(STATE_KEY)?.value !== "recovered") return null;
  try {
    return Reasons.parse(JSON.parse(meta.get(REASONS_KEY)?.value ?? ""));
  } catch {
    return ["It was recovered before its last restart."];
  }
}

/** What hosts were told may be newer than the catalog, so every disk has to be seen whole first. */
export function recoveredChanges(
  { disks }: Pick<Catalog, "disks">,
  reasons: readonly string[],
): Change[] {
  const marks = [...disks.values()].map((disk): Change => ({
    table: "disks",
    put: { ...disk, adopted: 1 },
  }));
  const state: Change = { table: "meta", put: { key: STATE_KEY, value: "recovered" } };
  return [state, reasonsChange(reasons), ...marks];
}

/**
 * Durable when it resolves. Called before anything else is written that would hide the reason from
 * a start after this one, should this one be cut.
 */
export async function beginRecovered(catalog: Catalog, why: readonly string[]): Promise<void> {
  if (why.length === 0) return;
  const reasons = new Set([...recoveredReasons(catalog) ?? [], ...why]);
  await catalog.commit(recoveredChanges(catalog, [...reasons]));
}

export function reasonsChange(reasons: readonly string[]): Change {
  const value = JSON.stringify(reasons.map((each) => each.slice(0, REASON_CHARACTERS_MAX)));
  return { table: "meta", put: { key: REASONS_KEY, value } };
}

export const NOT_RECOVERED: readonly Change[] = [STATE_KEY, REASONS_KEY].map((remove) => ({
  table: "meta",
  remove,
}));
