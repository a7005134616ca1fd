import type { MediumInfo } from "../../protocol/config/bodies.ts";
import type { MEDIUM_ACTIONS } from "../../protocol/config/media_bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { NodeRow } from "./catalog/rows.ts";
import { putBackWords } from "./media_events.ts";
import type { Pool } from "./pool.ts";
import { requireStanding } from "./standing.ts";
import type { TaskSpec } from "./tasks/task.ts";
import { listText, sizeText } from "./words.ts";

export type MediumAction = (typeof MEDIUM_ACTIONS)[number];

export interface MediumOrder {
  readonly unit: NodeRow;
  /** Id, the beginning of one, or path. */
  readonly medium: string;
  readonly action: MediumAction;
  /** The operator was told what is lost by it. */
  readonly yes: boolean;
  readonly owner: string;
}

const STATES: Readonly<Record<MediumAction, readonly MediumInfo["state"][]>> = {
  adopt: ["foreign", "stale", "moved", "quarantined"],
  forget: ["missing"],
  reopen: ["poisoned", "failed", "refused"],
};

/** Whose sequence is the medium's own, and not that of a copy which is not served. */
const HAS_SERVED: readonly MediumInfo["state"][] = ["ok", "poisoned", "failed", "missing"];

/**
 * Checks what an operator asks for about a medium, and makes a task of it. DvsanError "not-found",
 * "busy" when its state or another unit forbids it, "invalid" with what is lost when that was not
 * agreed to.
 */
export function mediumOrder(pool: Pool, order: MediumOrder): TaskSpec {
  const { unit, action, owner } = order;
  const medium = mustMedium(pool, order);
  const name = medium.path === "" ? medium.id : medium.path;
  const what = `${action} medium ${name} of unit "${unit.name}"`;
  requireStanding(pool, what, { destroys: takesOver(action) });
  if (!pool.nodes.isOnline(unit.id)) {
    const why = pool.nodes.reason(unit.id) ?? "it is not connected";
    throw new DvsanError("unavailable", `Cannot ${what}: the unit is away (${why}).`);
  }
  const isHalfDone = action === "adopt" && isHalfAdopted(pool, unit, medium);
  const isOlder = action === "adopt" && medium.state === "ok" &&
    pool.observed.olderThan(unit.id, medium.id) !== null;
  if (!STATES[action].includes(medium.state) && !isHalfDone && !isOlder) {
    throw new DvsanError(
      "busy",
      `Cannot ${what}: it is ${medium.state}${adviceOf(medium, action)}`,
    );
  }
  const needs = neededWords(unit.name, medium);
  if (action === "adopt" && needs !== null) {
    throw new DvsanError("busy", `Cannot ${what}: ${medium.reason}. It takes ${needs}.`);
  }
  const rivals = action === "adopt" ? rivalWords(pool, unit, medium) : null;
  if (rivals !== null) throw new DvsanError("busy", `Cannot ${what}. It takes ${rivals}.`);
  if (action === "adopt") refuseServed(pool, unit, { medium, what });
  const loss = lossWords(pool, unit, { medium, action });
  if (loss !== null && !order.yes) {
    const message = `Cannot ${what} without being sure: ${loss}. If that is meant, add --yes.`;
    throw new DvsanError("invalid", message);
  }
  return {
    kind: "medium.change",
    title: `${action[0]!.toUpperCase()}${what.slice(1)}`,
    params: { unitId: unit.id, mediumId: medium.id, action, sequence: medium.sequence, loss },
    owner,
    hostId: null,
    locks: [`medium:${medium.id}`],
  };
}

/**
 * Whoever adopts a medium shuts out who was granted what is on it, and who forgets one gives it up.
 * One that is opened anew is the unit's own, as it is.
 */
export function takesOver(action: MediumAction): boolean {
  return action !== "reopen";
}

export function canAdopt(state: MediumInfo["state"]): boolean {
  return STATES.adopt.includes(state);
}

/** What a medium needs that nobody can adopt as it is; null for any other. */
export function neededWords(unit: string, medium: MediumInfo): string | null {
  const { id, state, sequence } = medium;
  const isUnreadable = state === "quarantined" && sequence === 0;
  if (!isUnreadable && medium.shrunk !== true) return null;
  const what = isUnreadable ? "its label back from a copy" : "its device with all of its bytes";
  if (state === "foreign") return `${what}, or an operator who takes it away`;
  return `${what}; if the medium is lost for good, a start of the unit without it, and then: ` +
    `dvsan ctl media forget ${unit} ${id}`;
}

/**
 * What it takes where several devices of a unit have one medium id: an order names a medium by its
 * id, and which of them is the right one nobody can tell from labels. Null for the only one.
 */
export function rivalWords(
  pool: Pool,
  unit: Pick<NodeRow, "id">,
  { id }: MediumInfo,
): string | null {
  const media = pool.observed.last(unit.id)?.media ?? [];
  const paths = media.filter((one) => one.id === id && one.path !== "").map(({ path }) => path);
  if (paths.length < 2) return null;
  return `an operator who takes away all but one of ${listText(paths)}, which have the same ` +
    "medium id, and restarts the unit";
}

/** The unit has taken the medium over, and the station did not take over what it holds. */
function isHalfAdopted(pool: Pool, { id }: NodeRow, medium: MediumInfo): boolean {
  return medium.state === "ok" && (pool.observed.fresh(id)?.volumes ?? []).some((volume) => {
    const known = pool.catalog.volumes.get(volume.id);
    return known !== undefined && known.unitId !== id && volume.media.includes(medium.id);
  });
}

function mustMedium(pool: Pool, { unit, medium, action }: MediumOrder): MediumInfo {
  const media = pool.observed.last(unit.id)?.media ?? [];
  const found = media.filter((one) => one.id.startsWith(medium) || one.path === medium);
  const [first] = found;
  if (first !== undefined && found.every(({ id }) => id === first.id)) {
    // A copy beside the medium that is meant.
    return found.find(({ state }) => STATES[action].includes(state)) ?? first;
  }
  const why = found.length === 0 ? "has no medium" : `has ${found.length} media that begin with`;
  throw new DvsanError("not-found", `Unit "${unit.name}" ${why} "${medium}". See: dvsan ctl media`);
}

/** A copy must never be served beside the medium that it was made of. */
function refuseServed(
  pool: Pool,
  unit: NodeRow,
  { medium, what }: { readonly medium: MediumInfo; readonly what: string },
): void {
  for (const other of pool.catalog.nodes.values()) {
    if (other.role !== "unit" || other.id === unit.id || !pool.nodes.isOnline(other.id)) continue;
    const served = pool.observed.fresh(other.id)?.media.some((one) =>
      one.id === medium.id && one.state === "ok"
    );
    if (served !== true) continue;
    throw new DvsanError(
      "busy",
      `Cannot ${what}: unit "${other.name}" serves a medium of the same id. ` +
        "This is a copy of it, or the same device seen from both machines: take it away from " +
        "one of the two. Whoever wipes the same device destroys what is served.",
    );
  }
}

function lossWords(
  pool: Pool,
  unit: NodeRow,
  { medium, action }: { readonly medium: MediumInfo; readonly action: MediumAction },
): string | null {
  const past = action === "adopt" ? pool.observed.olderThan(unit.id, medium.id) : null;
  if (medium.state === "ok" && past !== null) {
    return `${putBackWords(past)}; what hosts wrote and flushed since may be gone from it, and ` +
      "the right one is then not known for it any more";
  }
  if (action === "adopt" && medium.state === "stale") {
    return staleWords(medium);
  }
  if (action === "adopt" && medium.state === "moved") {
    return `${medium.reason ?? "it is on another device"}; if it is a copy, what was written ` +
      "since it was made is gone";
  }
  if (action === "adopt" && medium.state === "foreign") {
    return olderWords(pool, unit, medium) ?? backWords(pool, unit, medium) ??
      partedWords(pool, unit, medium);
  }
  if (action === "reopen" && (medium.state === "poisoned" || medium.poisoned === true)) {
    return "what its device lost when a flush failed is written again only by hosts that still " +
      "have it; check the device first";
  }
  if (action !== "forget") return null;
  const hit = (pool.observed.last(unit.id)?.volumes ?? []).filter((volume) =>
    volume.media.includes(medium.id)
  );
  const parts = hit.map(({ leg, sizeBytes, grant }) => {
    const text = `leg ${leg.leg} of disk "${leg.diskName}" of "${leg.ownerName}" (${
      sizeText(sizeBytes)
    })`;
    if (grant === null || grant.sizeBytes >= sizeBytes) return text;
    // Where that lies is known to the unit alone.
    return `${text}, unless none of the ${sizeText(grant.sizeBytes)} that its host was granted ` +
      "is on this medium, which its unit finds out and keeps them then";
  });
  const whole = [...pool.catalog.volumes.values()].filter((volume) =>
    volume.unitId === unit.id && volume.created === 1 &&
    pool.observed.volume(unit.id, volume.id) === null
  ).map((volume) => {
    const disk = pool.catalog.disks.get(volume.diskId)?.name ?? volume.diskId;
    return `leg ${volume.leg} of disk "${disk}" (${sizeText(volume.sizeBytes)})`;
  });
  if (parts.length + whole.length === 0) return null;
  const others = (pool.observed.last(unit.id)?.media ?? [])
    .filter(({ id, state }) => id !== medium.id && state !== "ok")
    .map(({ id, path }) => path === "" ? id : path);
  if (whole.length === 0 || others.length === 0) {
    return `lost for good: ${listText([...parts, ...whole])}`;
  }
  // Which medium it is on was told by the unit's labels alone.
  const surely = parts.length === 0 ? "" : `lost for good: ${listText(parts)}; `;
  return `${surely}lost for good unless it is on ${listText(others)}: ${listText(whole)}`;
}

function staleWords({ reason, wasReplaced }: MediumInfo): string {
  if (wasReplaced === true) {
    return "what was written to the older copy that was adopted in its place is gone, and " +
      "volumes that it shares with other media are used again; if this is another copy, and not " +
      "the medium that was there before, parts of them are of different moments";
  }
  return `its contents are as old as this copy (${reason ?? "an older label"}); what was written ` +
    "since is gone, and volumes that it shares with other media stay unusable until the medium " +
    "that was there last is put back and adopted in its place, so keep that one";
}

/** Another unit has had it, as new or newer: this may be a copy. Null when none is known. */
function olderWords(pool: Pool, unit: NodeRow, { id, sequence }: MediumInfo): string | null {
  for (const other of pool.catalog.nodes.values()) {
    if (other.id === unit.id) continue;
    const past = pool.observed.leftOlder(other.id, id);
    if (past !== null) {
      return `unit "${other.name}" had it last, and there ${putBackWords(past)}; what hosts ` +
        "wrote and flushed since may be gone from it";
    }
    const had = pool.observed.last(other.id)?.media.find((one) => one.id === id);
    if (had === undefined || !HAS_SERVED.includes(had.state)) continue;
    if (had.sequence > sequence) {
      return `its label has sequence ${sequence}, and unit "${other.name}" had it at ` +
        `${had.sequence}: it is an old copy, and what was written since it was made is gone`;
    }
    if (had.state === "missing") continue;
    return `unit "${other.name}" had it last and has not told yet that it is gone: if this is a ` +
      "copy, what was written since it was made is gone. Nobody is asked once that unit was " +
      "started without it";
  }
  return null;
}

/** Volumes of which a part never left the unit that it comes back to; null when there are none. */
function backWords(pool: Pool, unit: NodeRow, { id }: MediumInfo): string | null {
  const volumes = pool.observed.last(unit.id)?.volumes ?? [];
  // What came with an adopted medium is fenced until all of it is there.
  const stayed = volumes.filter(({ media, grant }) =>
    media.includes(id) && grant !== null && grant.state !== "fenced"
  );
  if (stayed.length === 0) return null;
  const legs = stayed.map(({ leg }) => `leg ${leg.leg} of disk "${leg.diskName}"`);
  return `${listText(legs)} has its other part here and is put together again: if this medium is ` +
    "a copy, what was written since it was made is gone";
}

/** Volumes that it shares with media which stay where they are; null when there are none. */
function partedWords(pool: Pool, unit: NodeRow, medium: MediumInfo): string | null {
  const media = pool.observed.last(unit.id)?.media ?? [];
  const here = new Set(media.filter(({ state }) => state !== "missing").map(({ id }) => id));
  const parted = [...pool.catalog.nodes.values()].flatMap((other) =>
    other.id === unit.id
      ? []
      : (pool.observed.last(other.id)?.volumes ?? []).filter((volume) =>
        volume.media.includes(medium.id) && volume.media.some((id) => !here.has(id))
      )
  );
  if (parted.length === 0) return null;
  const legs = parted.map(({ leg }) => `leg ${leg.leg} of disk "${leg.diskName}"`);
  return `${listText([...new Set(legs)])} has a part on it and others on media that this unit ` +
    "does not have; it is used again only after those were brought to this unit and adopted, too";
}

function adviceOf({ state, reason }: MediumInfo, action: MediumAction): string {
  const why = reason === undefined ? "" : ` (${reason})`;
  if (state === "duplicate") return `${why}. Take one of the two away and restart the unit.`;
  if (state === "refused") {
    return `${why}. Reopen it once that is mended; to destroy what it holds, start the unit with ` +
      "--wipe PATH.";
  }
  if (state === "missing" && action === "reopen") {
    return `${why}. Once its device is back, reopen the path that the unit refused for it. See: ` +
      "dvsan ctl differences.";
  }
  const states = STATES[action].join(", ").replace(/, ([^,]*)$/, " or $1");
  return `${why}, and ${action} is for one that is ${states}. See: dvsan ctl differences.`;
}
