import { DvsanError } from "../../../protocol/core/errors.ts";
import { LEG_UNREACHABLE_MS_MAX } from "../../../protocol/core/limits.ts";
import type { DiskRow } from "../catalog/rows.ts";
import type { Pool } from "../pool.ts";
import { requireStanding } from "../standing.ts";
import { listText } from "../words.ts";
import type { TaskContext } from "./task.ts";

/**
 * What takes a disk away from its host, and is found in the catalog at a start, may have been
 * cancelled since that catalog was written: it may be an older copy. So it is not begun before
 * every unit of the disk has told what it holds, and none that this catalog is behind. DvsanError
 * "busy" when one did, "unavailable" when they do not come; nothing was changed then.
 */
export async function untilStillWanted(
  pool: Pool,
  disk: DiskRow,
  { task, what }: { readonly task: TaskContext; readonly what: string },
): Promise<void> {
  if (!task.isResumed) return;
  task.step("waiting for the disk's units to show whether the catalog is the newest");
  const units = new Set(pool.catalog.legsOf(disk.id).map(({ unitId }) => unitId));
  const unheard = () =>
    [...units].filter((id) => !pool.nodes.isOnline(id) || pool.observed.fresh(id) === null);
  await pool.watch.until(() => {
    requireStanding(pool, what, { destroys: true });
    return unheard().length === 0 ? true : null;
  }, { signal: task.signal, timeoutMs: LEG_UNREACHABLE_MS_MAX });
  if (unheard().length === 0) return;
  const names = unheard().map((id) => `"${pool.nodes.row(id)?.name ?? id}"`);
  throw new DvsanError(
    "unavailable",
    `Cannot ${what}: it was asked for before the station's last start, and ${listText(names)} ` +
      "did not come back to show that it is still meant. Ask for it again.",
  );
}
