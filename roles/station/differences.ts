import { createHash } from "node:crypto";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import type { DifferenceView, RecoveryView } from "../../web/station_api.ts";
import type { GrantRow, NodeRow, TombstoneRow } from "./catalog/rows.ts";
import { awayDifferences, copiedDifferences, isRevoked } from "./away_units.ts";
import { diskDifference } from "./disk_differences.ts";
import { mediumDifference, olderDifference } from "./medium_differences.ts";
import type { PlanStep } from "./plan.ts";
import type { Pool } from "./pool.ts";
import { nodesOf } from "./views.ts";
import { formatGeneration, sizeText, timeText } from "./words.ts";

const NOTHING = "nothing by itself";
const UNSEEN = "has it fenced and deleted, should the unit come and hold it";
const SUPERSEDED = {
  will: "nothing any more: another station with its key goes on",
  onConfirm: null,
  waits: "an operator who stops one of the two stations; to go on with this one, restart it then",
} as const;
const DIGEST_CHARACTERS = 12;

/** Everything in which what is wanted and what is held differ, in plain words. */
export function differences(pool: Pool): DifferenceView[] {
  const away = awayDifferences(pool, nodesOf(pool, "unit"));
  return [...toldDifferences(pool), ...away, ...copiedDifferences(pool)];
}

/** By what units and hosts told last. */
function toldDifferences(pool: Pool): DifferenceView[] {
  const { catalog } = pool;
  const found = [...nodesOf(pool, "unit"), ...strangers(pool)].flatMap((unit) => [
    ...volumeIds(pool, unit.id).map((id) => volumeDifference(pool, unit, id)),
    ...(isRevoked(pool, unit.id) ? [] : deviceDifferences(pool, unit)),
  ]);
  const disks = [...catalog.disks.values()].map((disk) => diskDifference(pool, disk));
  const all = [...found, ...disks, ...pool.strays.differences()].filter((one) => one !== null);
  if (pool.standing.state !== "superseded") return all;
  const isOwn = ({ kind }: DifferenceView) => kind === "medium" || kind === "unit";
  return all.map((one) => isOwn(one) ? one : { ...one, ...SUPERSEDED });
}

/** What an operator is shown, and confirms by its digest. */
export function recoveryView(pool: Pool): RecoveryView {
  // Who is away is no part of what is confirmed: who never told is, as unseen.
  const all = toldDifferences(pool);
  const admitted = [...pool.catalog.nodes.values()].filter(({ admission }) =>
    admission === "admitted"
  );
  const untold = admitted.filter(({ id, role }) =>
    role === "unit" && pool.observed.fresh(id) === null
  );
  const unseen = [...untold, ...strangers(pool)].map(({ name }) => name).sort();
  const { state, reasons } = pool.standing;
  // Ages and progress change by themselves and are no part of what is confirmed.
  const stable = all.map(({ kind, subject, will, onConfirm }) => [kind, subject, will, onConfirm]);
  const members = admitted.map(({ role, name }) => `${role} "${name}"`).sort();
  // A reason may be all that shows it: nobody holds anything of who was revoked without a disk.
  const told = JSON.stringify([stable, unseen, members, reasons]);
  const digest = createHash("sha256").update(told).digest("hex");
  return {
    state,
    reasons: [...reasons],
    list: digest.slice(0, DIGEST_CHARACTERS),
    differences: all,
    unseen,
    members,
  };
}

/** A unit, or one whose record was lost with a damaged catalog. */
type Unit = Pick<NodeRow, "id" | "name">;

/** Units that the catalog wants something of and does not know: they are to come yet. By id. */
function strangers({ catalog }: Pool): Unit[] {
  const ids = new Set([...catalog.volumes.values()].map(({ unitId }) => unitId));
  for (const { unitId, done } of catalog.tombstones.values()) if (done === 0) ids.add(unitId);
  return [...ids].filter((id) => !catalog.nodes.has(id)).sort().map((id) => ({ id, name: id }));
}

function deviceDifferences(pool: Pool, unit: Unit): (DifferenceView | null)[] {
  const media = pool.observed.last(unit.id)?.media ?? [];
  return [
    unitDifference(pool, unit),
    ...media.flatMap((medium) => [
      mediumDifference(pool, unit, medium),
      olderDifference(pool, unit, medium),
    ]),
  ];
}

/** A unit whose word is not taken. */
function unitDifference(pool: Pool, { id, name }: Unit): DifferenceView | null {
  const told = pool.observed.unbelieved(id);
  if (told === null) return null;
  return {
    kind: "unit",
    subject: `unit "${name}"`,
    wanted: "that it tells what it holds",
    held: told,
    will: NOTHING,
    onConfirm: null,
    waits: "an operator who takes away the medium that it got last, and restarts it",
  };
}

function volumeIds(pool: Pool, unitId: string): string[] {
  const wanted = [...pool.catalog.volumes.values()].filter((volume) => volume.unitId === unitId)
    .map(({ id }) => id);
  if (isRevoked(pool, unitId)) return wanted;
  const held = (pool.observed.last(unitId)?.volumes ?? []).map(({ id }) => id);
  const ids = new Set([...held, ...wanted]);
  for (const tombstone of pool.catalog.tombstones.values()) {
    if (tombstone.unitId === unitId && tombstone.done === 0) ids.add(tombstone.volumeId);
  }
  return [...ids];
}

function volumeDifference(pool: Pool, unit: Unit, id: string): DifferenceView | null {
  const { catalog, observed, reconciler } = pool;
  const { step, difference, confirms } = reconciler.plan(unit.id, id);
  const held = observed.volume(unit.id, id);
  const tombstone = catalog.tombstones.get(id) ?? null;
  const waitsForUnit = held === null && tombstone?.done === 0;
  if (difference === null && !waitsForUnit) return null;
  const isKnown = observed.fresh(unit.id) !== null;
  const trouble = reconciler.trouble(id);
  const away = pool.nodes.reason(unit.id);
  const isUntold = step === null && held === null && !isKnown;
  const onConfirm = confirms ?? (waitsForUnit && !isKnown ? "is fenced or deleted" : null);
  const waits = [
    isUntold ? "the unit, which did not tell what it holds yet" : step === null ? difference : null,
    away === null ? null : `unit "${unit.name}" ${away}`,
    trouble === null ? null : `the last try: ${trouble.message}`,
    misfitWords(pool, unit, held),
  ].filter((words) => words !== null).join("; ");
  return {
    kind: "volume",
    subject: subjectOf(pool, unit, { id, held }),
    wanted: wantedWords(pool, id, tombstone),
    held: heldWords(held, isKnown),
    will: step === null ? NOTHING : waitsForUnit && !isKnown ? UNSEEN : stepWords(step),
    onConfirm: pool.standing.state === "normal" ? null : onConfirm,
    waits: waits === "" ? null : waits,
  };
}

/** All its media are in order and do not fit together, as with an old copy that was adopted. */
function misfitWords(pool: Pool, unit: Unit, held: VolumeInfo | null): string | null {
  if (held?.state !== "failed") return null;
  const media = pool.observed.last(unit.id)?.media ?? [];
  const isInOrder = (id: string) => media.some((one) => one.id === id && one.state === "ok");
  if (!held.media.every(isInOrder)) return null;
  const disk = pool.catalog.disks.get(pool.catalog.volumes.get(held.id)?.diskId ?? "");
  if (disk === undefined) return null;
  return `what was on it can be had from a backup only; to give its space back: dvsan ctl disk ` +
    `release ${disk.name}`;
}

function subjectOf(
  pool: Pool,
  unit: Unit,
  { id, held }: { readonly id: string; readonly held: VolumeInfo | null },
): string {
  const wanted = pool.catalog.volumes.get(id);
  const disk = pool.catalog.disks.get(wanted?.diskId ?? "")?.name ?? held?.leg.diskName ?? "?";
  const leg = wanted?.leg ?? held?.leg.leg;
  const number = held?.number ?? (wanted?.created === 1 ? wanted.number : null);
  const name = number === null ? id : `${number}`;
  const place = leg === undefined ? "" : ` (disk "${disk}", leg ${leg})`;
  return `volume ${name} of unit "${unit.name}"${place}`;
}

function wantedWords(pool: Pool, id: string, tombstone: TombstoneRow | null): string {
  const { catalog } = pool;
  if (tombstone !== null) return `that it is deleted: ${tombstone.reason}`;
  const volume = catalog.volumes.get(id);
  if (volume === undefined) return "nothing: the catalog does not know it";
  const hostId = catalog.disks.get(volume.diskId)?.hostId ?? "";
  const host = catalog.nodes.get(hostId)?.name ?? hostId;
  const grant = grantWords(catalog.grants.get(id) ?? null, host);
  const unit = catalog.nodes.get(volume.unitId)?.name ?? volume.unitId;
  return `${sizeText(volume.sizeBytes)} on unit "${unit}", ${grant}`;
}

function grantWords(grant: GrantRow | null, host: string): string {
  if (grant === null) return "not granted yet";
  const generation = formatGeneration(grant);
  return grant.state === "active"
    ? `granted to "${host}" as ${generation}`
    : `no access for "${host}" up to ${generation}`;
}

function heldWords(held: VolumeInfo | null, isKnown: boolean): string {
  if (held === null) return isKnown ? "nothing of it" : "not known: the unit did not tell yet";
  const { grant, leg, state, sizeBytes } = held;
  const access = grant === null
    ? "not granted"
    : `grant ${formatGeneration(grant.generation)} of "${leg.ownerName}", ${grant.state}` +
      (grant.fencingForMs === undefined ? "" : ` for ${timeText(grant.fencingForMs)}`);
  return `${sizeText(sizeBytes)}, ${state}, ${access}${isKnown ? "" : " (as it last told)"}`;
}

function stepWords(step: PlanStep): string {
  switch (step.kind) {
    case "create":
      return "has it made";
    case "resize":
      return "has it grown";
    case "relabel":
      return "has its label tell of them all";
    case "shrink":
      return "has its end given back";
    case "grant":
      return "has it granted; an older grant is fenced first";
    case "revoke":
      return "has its grant fenced";
    case "delete":
      return "has it deleted";
    case "bury":
      return "takes the deletion for done";
    case "keep":
      return "notes its number and place";
    case "learn":
      return "takes the label's grant and size into the catalog";
    case "adopt":
      return "adopts it into the catalog; nothing is deleted";
    case "forget":
      return "takes it out of the catalog; should it come back, it is adopted again";
  }
}
