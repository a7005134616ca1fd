import { z } from "zod";
import type { MediumInfo, VolumeInfo } from "../../../protocol/config/bodies.ts";
import { MEDIUM_ACTIONS } from "../../../protocol/config/media_bodies.ts";
import type { StationLink } from "../../../protocol/config/link.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { LEG_UNREACHABLE_MS_MAX, MEDIUM_CHANGE_MS_MAX } from "../../../protocol/core/limits.ts";
import type { Change } from "../catalog/catalog.ts";
import type { DiskRow, VolumeRow } from "../catalog/rows.ts";
import { type MediumAction, takesOver } from "../medium_orders.ts";
import { isAnotherMaking } from "../making.ts";
import type { Pool } from "../pool.ts";
import { requireStanding } from "../standing.ts";
import { grantAgain } from "./disk_regrant.ts";
import { requireStillWanted } from "./still_wanted.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({
  unitId: z.string(),
  mediumId: z.string(),
  action: z.enum(MEDIUM_ACTIONS),
  sequence: z.number(),
  loss: z.string().nullable(),
});

/** Has a unit adopt, forget or reopen a medium, and brings what it holds back to its hosts. */
export async function changeMediumWork(
  pool: Pool,
  params: unknown,
  options: { readonly task: TaskContext; readonly link: () => StationLink },
): Promise<void> {
  const { unitId, mediumId, action, sequence, loss } = Params.parse(params);
  const { task, link } = options;
  const unit = pool.nodes.row(unitId)?.name ?? unitId;
  if (loss !== null) task.log(`Agreed to: ${loss}.`);
  task.commitTo(`asking unit "${unit}" to ${action} it`);
  if (action === "adopt") pool.adopting.add(mediumId);
  try {
    // Taken up again after the station's start, it comes before the unit does.
    await pool.watch.until(
      () => pool.nodes.isOnline(unitId) && pool.observed.fresh(unitId) !== null ? true : null,
      { signal: task.signal, timeoutMs: LEG_UNREACHABLE_MS_MAX },
    );
    // Asked for before a restart with an older catalog, say: whoever confirms can ask again.
    const requireMay = () =>
      requireStanding(pool, `${action} medium ${mediumId}`, { destroys: takesOver(action) });
    requireMay();
    const info = pool.observed.fresh(unitId);
    const medium = info?.media.find(({ id }) => id === mediumId);
    // A run before this one may have been cut off behind the unit's part of it.
    if (info === null && task.isResumed) throw awayStill(unit, action);
    const isOlder = pool.observed.olderThan(unitId, mediumId) !== null;
    if (!isDone(medium, action) || isOlder) {
      requireStillWanted(task, `${action} medium ${mediumId} of unit "${unit}"`);
    }
    if (action !== "adopt" || medium?.state !== "ok" || isOlder) {
      const { station } = pool.epoch;
      const past = action === "adopt" ? pool.observed.past(unitId, mediumId) : null;
      const body = {
        ...{ station, mediumId, action, expectedSequence: sequence },
        ...(past !== null && { past }),
      };
      // Withdrawn as other orders are, once the station learns that it is behind.
      const signal = takesOver(action) ? pool.standing.normal : null;
      await link().request(unitId, "MEDIUM_CHANGE", body, {
        timeoutMs: MEDIUM_CHANGE_MS_MAX,
        ...(signal !== null && { signal }),
      }).catch((error) => {
        if (signal?.aborted === true) requireMay();
        throw error;
      });
      await pool.observed.pull(unitId);
    }
    if (action === "adopt") await bringBack(pool, { unitId, mediumId, task });
  } finally {
    if (action === "adopt") pool.adopting.delete(mediumId);
  }
  const done = { adopt: "adopted", forget: "forgot", reopen: "opened anew" }[action];
  const text = `Unit "${unit}" ${done} medium ${mediumId}${loss === null ? "" : `: ${loss}`}.`;
  pool.events.say({ kind: `medium.${action}`, severity: "warn", subject: unit, text });
}

/** Nobody can say whether a run before this one had it done. */
function awayStill(unit: string, action: MediumAction): DvsanError {
  return new DvsanError(
    "unavailable",
    `Unit "${unit}" is away since the station's start. See "dvsan ctl media" once it is back, ` +
      `and ask for it to ${action} the medium again if that is still meant.`,
  );
}

/** A medium that was forgotten is not told of any more. */
function isDone(medium: MediumInfo | undefined, action: MediumAction): boolean {
  return action === "forget" ? medium === undefined : medium?.state === "ok";
}

interface Adopted {
  readonly unitId: string;
  readonly mediumId: string;
  readonly task: TaskContext;
}

async function bringBack(pool: Pool, adopted: Adopted): Promise<void> {
  const { unitId, task } = adopted;
  // Nobody else grants these disks meanwhile: to a consumer without the agent, or a new owner.
  await task.lock(
    heldOn(pool, adopted).flatMap(({ id, leg }) => {
      const known = pool.catalog.volumes.get(id)?.diskId;
      return [leg.diskId, ...known === undefined ? [] : [known]].map((disk) => `disk:${disk}`);
    }),
  );
  const held = heldOn(pool, adopted);
  for (const { id } of held) forgetAway(pool, unitId, id);
  const moved = held.map((volume) => movedRow(pool, unitId, { held: volume, task }))
    .filter((put) => put !== null);
  await pool.catalog.commit([
    ...moved.map((put): Change => ({ table: "volumes", put })),
    // Nobody is told of the new place before the unit has granted it.
    ...disksOf(pool, moved).map((disk): Change => {
      return { table: "disks", put: { ...disk, adopted: 1 } };
    }),
  ]);
  void pool.reconciler.kick(unitId);
  await pool.watch.until(
    () => held.every(({ id }) => isKnown(pool, id)) ? true : null,
    { signal: task.signal, timeoutMs: LEG_UNREACHABLE_MS_MAX },
  );
  const disks = new Set(held.map(({ id }) => pool.catalog.volumes.get(id)?.diskId ?? ""));
  for (const diskId of disks) {
    const disk = pool.catalog.disks.get(diskId);
    if (disk === undefined) continue;
    await grantAgain(pool, { disk, legs: fencedLegs(pool, unitId, disk), task });
  }
}

function heldOn(pool: Pool, { unitId, mediumId }: Adopted): VolumeInfo[] {
  const volumes = pool.observed.fresh(unitId)?.volumes ?? [];
  return volumes.filter((volume) => volume.media.includes(mediumId));
}

/**
 * The grants on an adopted medium were fenced with it: its owner gets new ones. An old medium's are
 * older than what the catalog has last, so that these are more than `shutOutLegs`.
 */
function fencedLegs(pool: Pool, unitId: string, disk: DiskRow): VolumeRow[] {
  return pool.catalog.legsOf(disk.id).filter((leg) => {
    const held = pool.observed.volume(unitId, leg.id);
    return leg.unitId === unitId && held?.grant?.state === "fenced" && held.state !== "failed" &&
      held.state !== "incomplete";
  });
}

function isKnown({ catalog }: Pool, volumeId: string): boolean {
  return catalog.volumes.has(volumeId) || catalog.tombstones.has(volumeId);
}

/**
 * What units that are away told of a volume last is over: its medium is here. Who was shown a copy
 * there might wipe the one medium that there is. Should one come back with a copy, it will say so.
 */
function forgetAway({ nodes, observed, catalog }: Pool, unitId: string, volumeId: string): void {
  for (const { id, role } of catalog.nodes.values()) {
    if (role !== "unit" || id === unitId) continue;
    if (nodes.isOnline(id) && observed.fresh(id) !== null) continue;
    if (observed.volume(id, volumeId) !== null) observed.answered(id, volumeId, null);
  }
}

/** The catalog's record of a volume that came here from another unit; null when it stays there. */
function movedRow(
  pool: Pool,
  unitId: string,
  { held, task }: { readonly held: VolumeInfo; readonly task: TaskContext },
): VolumeRow | null {
  const row = pool.catalog.volumes.get(held.id);
  if (row === undefined || row.unitId === unitId) return null;
  const former = pool.nodes.row(row.unitId)?.name ?? row.unitId;
  if (isAnotherMaking(held, { volume: row, grant: pool.catalog.grants.get(held.id) ?? null })) {
    task.log(`Volume ${held.number} stays with unit "${former}": nobody was granted this one.`);
    return null;
  }
  const isThere = pool.nodes.isOnline(row.unitId) &&
    pool.observed.fresh(row.unitId)?.volumes.some((other) => other.id === held.id);
  if (isThere === true) {
    task.log(`Volume ${held.number} stays with unit "${former}", which holds it too.`);
    return null;
  }
  task.log(`Volume ${held.number} (disk "${held.leg.diskName}") came from unit "${former}".`);
  const { number, startLba } = held;
  return { ...row, unitId, created: 1, number, startLba };
}

function disksOf({ catalog }: Pool, volumes: readonly VolumeRow[]): DiskRow[] {
  const ids = new Set(volumes.map(({ diskId }) => diskId));
  return [...ids].map((id) => catalog.disks.get(id)).filter((disk) => disk !== undefined);
}
