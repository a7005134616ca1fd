import { createHash } from "node:crypto";
import type { Assignment } from "./bodies.ts";

/**
 * What a host and the station compare in heartbeats: equal when both hold the same version of the
 * same disks in the same state. Released disks count as not there.
 */
export function assignmentsDigest(
  assignments: Iterable<Pick<Assignment, "diskId" | "version" | "state">>,
): string {
  const parts: string[] = [];
  for (const { diskId, version, state } of assignments) {
    if (state !== "released") parts.push(`${diskId} ${version} ${state}`);
  }
  return createHash("sha256").update(parts.sort().join("\n")).digest("hex").slice(0, 32);
}
