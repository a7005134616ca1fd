import { DvsanError } from "../../../protocol/core/errors.ts";
import type { TaskContext } from "./task.ts";

/**
 * What takes a disk away, ends a membership or decides about a medium, and is found in the catalog
 * at a start before it was begun, may have been cancelled since that catalog was written: it may
 * be an older copy, and a task that was cancelled leaves nothing on units by which one could tell.
 * So whoever asked for it has to say so again: a restored catalog destroys nothing, and asks where
 * it cannot know. What was begun goes on, as the catalog had it past cancelling. DvsanError
 * "cancelled"; nothing was changed then.
 */
export function requireStillWanted(
  { isResumed }: Pick<TaskContext, "isResumed">,
  what: string,
): void {
  if (!isResumed) return;
  throw new DvsanError(
    "cancelled",
    `Did not ${what}: it was asked for before the station's last start and had not begun, and ` +
      "may have been cancelled since this catalog was written. Nothing was changed. Ask for it " +
      "again if it is still meant.",
  );
}
