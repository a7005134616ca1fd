import { z } from "zod";
import type { VolumeInfo } from "../../../protocol/config/bodies.ts";
import type { DiskRow, VolumeRow } from "../catalog/rows.ts";
import { uncertainty } from "../certainty.ts";
import { isFencedOff } from "../evidence.ts";
import { kickDisk, nextVersion, type Pool } from "../pool.ts";
import { untilDelivered } from "./disk_create.ts";
import { grantOf, isGranted, isGrantedYet, isPublished, mustDisk, untilLegs } from "./legs.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ diskId: z.string() });

/**
 * Legs whose unit fenced the very grant that the catalog has last: an adopted medium's are, and who
 * adopted it may have ended before they were granted again, or its catalog was lost with the reason
 * and knows it from the label alone. A grant that was taken back here has a later generation, or
 * its disk is not ready any more. By disk.
 */
export function shutOutLegs(pool: Pool): Map<string, VolumeRow[]> {
  const { catalog, observed, adopting } = pool;
  const found = new Map<string, VolumeRow[]>();
  for (const { id: unitId, role } of catalog.nodes.values()) {
    if (role !== "unit") continue;
    for (const held of observed.fresh(unitId)?.volumes ?? []) {
      const leg = catalog.volumes.get(held.id);
      if (leg?.unitId !== unitId || !isShutOut(pool, leg, held)) continue;
      // Its adoption is under way, and grants it itself.
      if (held.media.some((id) => adopting.has(id))) continue;
      found.set(leg.diskId, [...found.get(leg.diskId) ?? [], leg]);
    }
  }
  return found;
}

/** The unit fenced what the catalog wants of the leg, which is whole. */
export function isShutOut({ catalog }: Pool, leg: VolumeRow, held: VolumeInfo): boolean {
  return held.state === "ready" && isFencedOff(held, catalog.grants.get(leg.id) ?? null);
}

/**
 * No host is told of a leg before its unit has acknowledged the grant (control.md §2), whatever
 * keeps it from that: a medium that failed, or a fence of which the label alone tells.
 */
export function isToBeGranted(pool: Pool, disk: DiskRow): boolean {
  // Whoever is not a member yet may be one soon.
  if (pool.nodes.row(disk.hostId)?.admission === "revoked") return false;
  return pool.catalog.legsOf(disk.id).some((leg) => {
    const held = pool.observed.volume(leg.unitId, leg.id);
    if (held === null || leg.publishedBytes === 0) return false;
    // As its host knows it: it may be growing.
    return !isGranted(pool, { ...leg, sizeBytes: leg.publishedBytes }, held);
  });
}

/**
 * A unit has yet to take a grant that was decided on: the disk's host is told once it has. Whoever
 * decided on it may have ended meanwhile, because the unit was away.
 */
export function awaitsGrants(pool: Pool, disk: DiskRow): boolean {
  if (disk.adopted === 1) return isToBeGranted(pool, disk);
  return pool.catalog.legsOf(disk.id).some(({ id, publishedBytes }) => {
    const grant = pool.catalog.grants.get(id);
    return publishedBytes > 0 && grant?.state === "active" && grant.grantedBytes === 0;
  });
}

/** Grants again what is shut out of a disk; goes on where an earlier run of it was cut off. */
export async function regrantWork(pool: Pool, params: unknown, task: TaskContext): Promise<void> {
  const { diskId } = Params.parse(params);
  const legs = shutOutLegs(pool).get(diskId) ?? [];
  await grantAgain(pool, { disk: mustDisk(pool, diskId), legs, task });
}

/** New grants for legs that their unit has fenced; then the disk's host is told of them. */
export async function grantAgain(
  pool: Pool,
  { disk, legs, task }: {
    readonly disk: DiskRow;
    readonly legs: readonly VolumeRow[];
    readonly task: TaskContext;
  },
): Promise<void> {
  if (legs.length === 0 || disk.state !== "ready") return;
  const why = whyNotAgain(pool, disk);
  if (why !== null) return task.log(`Disk "${disk.name}" is not granted again yet: ${why}.`);
  // With the grants: whatever becomes of this task, the host is told anew once all is certain.
  const put: DiskRow = { ...disk, adopted: 1, access: "agent" };
  // Its host is told of all its legs then: also of those that could not be granted again before.
  const shutOut = (shutOutLegs(pool).get(disk.id) ?? []).filter(({ id }) =>
    !legs.some((leg) => leg.id === id)
  );
  const asked = [...legs, ...shutOut];
  // Of a disk that becomes the agent's, no leg stays with who uses it without: the agent has all.
  const again = [...asked, ...pool.catalog.otherDirectLegs(disk.id, asked)];
  await pool.catalog.commit([
    ...again.map((leg) => grantOf(pool, leg.id)),
    { table: "disks", put },
  ]);
  kickDisk(pool, disk.id);
  await untilLegs(pool, {
    diskId: disk.id,
    task,
    what: "to be granted anew",
    test: (all, leg, held) =>
      !again.some(({ id }) => id === leg.id) || isGrantedYet(all, leg, held),
  });
  const now = pool.catalog.disks.get(disk.id);
  if (now === undefined) return;
  // A leg that was found half made is granted to nobody yet: its disk is still to be finished.
  const adopted = isPublished(pool, disk.id) ? 0 : 1;
  const told: DiskRow = { ...now, adopted, version: nextVersion(pool, now) };
  await pool.catalog.commit([{ table: "disks", put: told }]);
  kickDisk(pool, disk.id);
  await untilDelivered(pool, disk.id, task);
}

/** In words; null when nothing speaks against granting a disk's legs again. */
export function whyNotAgain(pool: Pool, disk: DiskRow): string | null {
  if (pool.nodes.row(disk.hostId)?.admission !== "admitted") return "its host is not a member";
  return uncertainty(pool, disk);
}
