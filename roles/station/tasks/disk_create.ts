import { z } from "zod";
import { DvsanError, messageOf } from "../../../protocol/core/errors.ts";
import { HOST_DELIVERY_MS_MAX } from "../../../protocol/core/limits.ts";
import type { DiskRow } from "../catalog/rows.ts";
import type { Pool } from "../pool.ts";
import { sizeText } from "../words.ts";
import { mustDisk, raiseLegs, takeBack } from "./legs.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ diskId: z.string() });

/** Makes the legs that were promised with the request, grants them, and tells the host. */
export async function createDiskWork(
  pool: Pool,
  params: unknown,
  task: TaskContext,
): Promise<void> {
  const { diskId } = Params.parse(params);
  const disk = mustDisk(pool, diskId);
  if (disk.state === "creating") {
    try {
      await raiseLegs(pool, diskId, task);
    } catch (error) {
      throw await giveUp(pool, diskId, { task, error });
    }
    const host = pool.nodes.row(disk.hostId)?.name ?? disk.hostId;
    const text = `Disk "${disk.name}" (${sizeText(disk.sizeBytes)}) was made for "${host}".`;
    pool.events.say({ kind: "disk.created", severity: "info", subject: disk.name, text });
  }
  await untilDelivered(pool, diskId, task);
}

/**
 * Takes back what was not published, unless the station only stops: then it goes on later. Answers
 * the error with which the request ends: where nothing is taken back, it says what comes yet.
 */
export async function giveUp(
  pool: Pool,
  diskId: string,
  options: { readonly task: TaskContext; readonly error: unknown },
): Promise<unknown> {
  const { task, error } = options;
  if (error instanceof Error && error.name === "Stopping") return error;
  task.log(
    pool.standing.state === "normal"
      ? `Taking back what was made: ${messageOf(error)}`
      : "Nothing is taken back: the catalog is not certain. See: dvsan ctl differences",
  );
  const give = () =>
    pool.standing.state === "normal"
      ? takenBack(pool, diskId, error)
      : leftForLater(pool, diskId, error);
  // A disk that was never told to its host is taken back later, too (Recovery); of one that is in
  // use nobody could say later whether what is half grown was granted and told since.
  const isNew = pool.catalog.disks.get(diskId)?.state === "creating";
  // Its lock is kept: nobody else could commit either, nor may a task go on from a half growth.
  return await (isNew ? give() : task.surely(give));
}

async function takenBack(pool: Pool, diskId: string, error: unknown): Promise<unknown> {
  await takeBack(pool, diskId, messageOf(error).slice(0, 500));
  return error;
}

async function leftForLater(pool: Pool, diskId: string, error: unknown): Promise<unknown> {
  // Once it is certain, the disk is finished: what is half made may have been whole before.
  const disk = pool.catalog.disks.get(diskId);
  if (disk === undefined) return error;
  await pool.catalog.commit([{ table: "disks", put: { ...disk, adopted: 1 } }]);
  const later = laterWords(pool, disk);
  return new DvsanError(
    error instanceof DvsanError ? error.code : "internal",
    `${messageOf(error)} The station's catalog is not certain, so nothing is taken back: disk ` +
      `"${disk.name}" is ${later} once an operator has confirmed the differences ` +
      "(dvsan ctl recover). Do not ask for another in its place.",
    { cause: error },
  );
}

/** See Recovery.settle. */
function laterWords({ nodes }: Pool, { hostId, state }: DiskRow): string {
  const isRevoked = nodes.row(hostId)?.admission === "revoked";
  if (state === "creating") return isRevoked ? "taken back" : "made to its end";
  return isRevoked ? "left as it is" : "grown to its end";
}

/** A host that is away gets the map when it is back; nobody waits for it for ever. */
export async function untilDelivered(
  pool: Pool,
  diskId: string,
  task: TaskContext,
): Promise<boolean> {
  const host = pool.catalog.disks.get(diskId)?.hostId ?? "";
  task.step("telling the host");
  const told = await pool.watch.until(() => {
    const disk = pool.catalog.disks.get(diskId);
    if (disk === undefined || disk.deliveredVersion >= disk.version) return "told";
    return pool.nodes.isOnline(host) ? null : "away";
  }, { signal: task.signal, timeoutMs: HOST_DELIVERY_MS_MAX });
  if (told === "told") return true;
  const name = pool.nodes.row(host)?.name ?? host;
  const why = pool.nodes.reason(host) ?? "it does not answer";
  task.log(`Host "${name}" was not told yet (${why}); it will be as soon as it is there.`);
  return false;
}
