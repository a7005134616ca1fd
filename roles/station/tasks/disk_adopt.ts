import { z } from "zod";
import { DvsanError, type ErrorCode } from "../../../protocol/core/errors.ts";
import { kickDisk, type Pool } from "../pool.ts";
import { untilDelivered } from "./disk_create.ts";
import { mustDisk, raiseLegs } from "./legs.ts";
import type { TaskContext } from "./task.ts";

/** A unit has no place for a new volume: it is full, or no medium of it can be written to. */
const NO_PLACE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["no-space", "limit", "io"]);

const Params = z.object({ diskId: z.string() });

/**
 * Finishes a disk of which units hold legs that were never granted: the catalog that began it is
 * lost. Nothing is taken back when that fails, since what is there was not made by this task.
 */
export async function adoptDiskWork(pool: Pool, params: unknown, task: TaskContext): Promise<void> {
  const { diskId } = Params.parse(params);
  await raiseLegs(pool, diskId, task).catch((error) => {
    throw wayOut(pool, diskId, error);
  });
  const disk = mustDisk(pool, diskId);
  await pool.catalog.commit([{ table: "disks", put: { ...disk, adopted: 0 } }]);
  kickDisk(pool, diskId);
  await untilDelivered(pool, diskId, task);
}

/**
 * Another station with this key may have given away the room that this one had promised, or the
 * unit's media were carried away before it made anything. What was promised to a disk that was
 * never there stays so until an operator has decided.
 */
function wayOut(pool: Pool, diskId: string, error: unknown): unknown {
  const disk = pool.catalog.disks.get(diskId);
  if (!(error instanceof DvsanError) || !NO_PLACE.has(error.code)) return error;
  if (disk?.state !== "creating") return error;
  const { name } = disk;
  return new DvsanError(
    error.code,
    `${error.message} Disk "${name}" is made as soon as there is room on that unit; if it is not ` +
      "wanted any more, release it.",
    { cause: error },
  );
}
