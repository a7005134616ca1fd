import { z } from "zod";
import { HOST_DETACH_MS_MAX, LEG_UNREACHABLE_MS_MAX } from "../../../protocol/core/limits.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import type { TombstoneRow } from "../catalog/rows.ts";
import { isRevoked } from "../away_units.ts";
import { uncertainty } from "../certainty.ts";
import { kickDisk, nextVersion, type Pool, untilUnitsReturned } from "../pool.ts";
import { listText } from "../words.ts";
import { buryLeg } from "./legs.ts";
import { requireStillWanted } from "./still_wanted.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ diskId: z.string(), name: z.string() });
const REFUSALS_MAX = 4;
const FENCING_REFUSALS_MAX = 12;

/**
 * Gives a disk's space back: the host detaches first when it is there, then units fence and
 * delete. A host or unit that is away leaves debt that is done when it is back; the task says so
 * and ends.
 */
export async function releaseDiskWork(
  pool: Pool,
  params: unknown,
  task: TaskContext,
): Promise<void> {
  const { diskId, name } = Params.parse(params);
  const asked = pool.catalog.disks.get(diskId);
  if (asked?.state === "ready" || asked?.state === "creating") {
    requireStillWanted(task, `release disk "${name}"`);
  }
  task.commitTo("telling the host to detach");
  const disk = pool.catalog.disks.get(diskId);
  if (disk !== undefined && disk.state !== "released") {
    if (disk.state !== "releasing") {
      const version = nextVersion(pool, disk);
      await pool.catalog.commit([
        { table: "disks", put: { ...disk, state: "releasing", version } },
      ]);
    }
    // Before that the host is not told (Station: mayTell), and it has its whole time to detach.
    await untilUnitsReturned(pool, task.signal);
    kickDisk(pool, diskId);
    await untilDetached(pool, diskId, task);
    await bury(pool, diskId, name);
  }
  kickDisk(pool, diskId);
  await untilBuried(pool, diskId, task);
  const text = `Disk "${name}" was released.`;
  pool.events.say({ kind: "disk.released", severity: "info", subject: name, text });
}

/** Fencing is what makes it safe; waiting for the host only spares it errors. */
async function untilDetached(pool: Pool, diskId: string, task: TaskContext): Promise<void> {
  const result = await pool.watch.until(() => {
    const disk = pool.catalog.disks.get(diskId);
    if (disk === undefined || disk.deliveredVersion >= disk.version) return "told";
    return pool.nodes.isOnline(disk.hostId) ? null : "away";
  }, { signal: task.signal, timeoutMs: HOST_DETACH_MS_MAX });
  if (result === "told") return;
  const disk = pool.catalog.disks.get(diskId);
  const hostId = disk?.hostId ?? "";
  const unsure = disk === undefined ? null : uncertainty(pool, disk);
  const why = pool.nodes.reason(hostId) ??
    (unsure === null ? "it does not answer" : `it is told once that is done, since ${unsure}`);
  const host = pool.nodes.row(hostId)?.name ?? hostId;
  task.log(`Host "${host}" did not detach (${why}): its access is fenced without it.`);
}

/** The record stays until the host, if it can come back, has heard that its disk is gone. */
async function bury(pool: Pool, diskId: string, name: string): Promise<void> {
  const disk = pool.catalog.disks.get(diskId);
  if (disk === undefined) return;
  const legs = pool.catalog.legsOf(diskId);
  const hostGone = pool.nodes.row(disk.hostId)?.admission !== "admitted";
  const heard = disk.deliveredVersion >= disk.version || hostGone;
  await pool.catalog.commit([
    ...legs.flatMap((leg) => buryLeg(pool, leg, `disk "${name}" was released`)),
    heard
      ? { table: "disks", remove: diskId }
      : { table: "disks", put: { ...disk, state: "released" } },
  ]);
}

async function untilBuried(pool: Pool, diskId: string, task: TaskContext): Promise<void> {
  const startMs = pool.world.clock.nowMs();
  const open = await pool.watch.until(() => {
    const left = openTombstones(pool, diskId);
    const units = unitNames(pool, left);
    task.step(left.length === 0 ? "deleted" : `waiting for ${units} to fence and delete`);
    const spent = pool.world.clock.nowMs() - startMs;
    return left.every((tombstone) => isDebt(pool, tombstone, spent)) ? left : null;
  }, { signal: task.signal });
  const left = open ?? [];
  const refused = left.filter((tombstone) => pool.nodes.isOnline(tombstone.unitId));
  for (const tombstone of refused) {
    const trouble = pool.reconciler.trouble(tombstone.volumeId);
    if (trouble === null) continue;
    const unit = unitNames(pool, [tombstone]);
    throw new DvsanError(
      trouble.code,
      `${unit} did not delete volume ${tombstone.volumeId}: ${trouble.message} ` +
        "The station goes on asking.",
    );
  }
  if (left.length === 0) return;
  if (pool.standing.state !== "normal") {
    const names = unitNames(pool, left);
    task.log(`Nothing is deleted on ${names} before an operator has confirmed the differences.`);
    return;
  }
  const gone = left.filter(({ unitId }) => isRevoked(pool, unitId));
  if (gone.length > 0) {
    const names = unitNames(pool, gone);
    task.log(
      `${names} was revoked: the volumes there are deleted if another unit adopts its media.`,
    );
  }
  const away = left.filter((tombstone) => !gone.includes(tombstone));
  if (away.length === 0) return;
  const names = unitNames(pool, away);
  task.log(`${names} cannot be reached: the volumes there are fenced and deleted at its return.`);
}

function openTombstones(pool: Pool, diskId: string): TombstoneRow[] {
  return [...pool.catalog.tombstones.values()].filter((tombstone) =>
    tombstone.diskId === diskId && tombstone.done === 0
  );
}

/** Not to be waited for: out of reach, or refused again and again. */
function isDebt(pool: Pool, tombstone: TombstoneRow, spentMs: number): boolean {
  if (pool.standing.state !== "normal") return true;
  const state = pool.nodes.presence(tombstone.unitId)?.state;
  if (state === "gone" || state === "revoked" || state === "leaving") return true;
  if (!pool.nodes.isOnline(tombstone.unitId)) return spentMs >= LEG_UNREACHABLE_MS_MAX;
  const trouble = pool.reconciler.trouble(tombstone.volumeId);
  const attemptsMax = trouble?.code === "fencing" ? FENCING_REFUSALS_MAX : REFUSALS_MAX;
  return (trouble?.attempts ?? 0) >= attemptsMax;
}

function unitNames(pool: Pool, tombstones: readonly TombstoneRow[]): string {
  const names = tombstones.map((tombstone) => pool.nodes.row(tombstone.unitId)?.name ?? "?");
  return listText([...new Set(names)].map((name) => `"${name}"`));
}
