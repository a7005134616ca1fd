import { z } from "zod";
import { kickDisk, type Pool } from "../pool.ts";
import { untilDelivered } from "./disk_create.ts";
import { mustDisk, raiseLegs } from "./legs.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ diskId: z.string() });

/**
 * Finishes a disk of which units hold legs that were never granted: the catalog that began it is
 * lost. Nothing is taken back when that fails, since what is there was not made by this task.
 */
export async function adoptDiskWork(pool: Pool, params: unknown, task: TaskContext): Promise<void> {
  const { diskId } = Params.parse(params);
  await raiseLegs(pool, diskId, task);
  const disk = mustDisk(pool, diskId);
  await pool.catalog.commit([{ table: "disks", put: { ...disk, adopted: 0 } }]);
  kickDisk(pool, diskId);
  await untilDelivered(pool, diskId, task);
}
