import { createHash } from "node:crypto";
import type { Assignment } from "./bodies.ts";

/**
 * What a host and the station compare in heartbeats: equal when both hold the same version of the
 * same disks, in the same state and of the same volumes: after a catalog was restored, one version
 * may be another map. Released disks count as not there.
 */
export function assignmentsDigest(
  assignments: Iterable<Pick<Assignment, "diskId" | "version" | "state" | "legs">>,
): string {
  const parts: string[] = [];
  for (const { diskId, version, state, legs } of assignments) {
    if (state === "released") continue;
    const volumes = legs.map(({ leg, volumeId }) => `${leg}:${volumeId}`).sort();
    parts.push(`${diskId} ${version} ${state} ${volumes.join(",")}`);
  }
  return createHash("sha256").update(parts.sort().join("\n")).digest("hex").slice(0, 32);
}
