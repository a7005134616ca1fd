import type { VolumeInfo } from "../../../protocol/config/bodies.ts";
import { defined } from "../../../protocol/core/assert.ts";
import { DvsanError, type ErrorCode } from "../../../protocol/core/errors.ts";
import { LEG_UNREACHABLE_MS_MAX } from "../../../protocol/core/limits.ts";
import type { Change } from "../catalog/catalog.ts";
import type { DiskRow, VolumeRow } from "../catalog/rows.ts";
import { isFencedOff } from "../evidence.ts";
import { brokenLeg } from "../making.ts";
import { kickDisk, nextVersion, type Pool } from "../pool.ts";
import type { Trouble } from "../reconcile.ts";
import { requireStanding } from "../standing.ts";
import type { TaskContext } from "./task.ts";

/** Refusals that no repeat turns into a yes; all others are repeated a while. */
const FOR_GOOD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "no-space",
  "quota",
  "invalid",
  "unsupported",
  "exists",
  "limit",
  "io",
  "foreign",
  "denied",
]);
const ATTEMPTS_MAX = 8;
const FENCING_ATTEMPTS_MAX = 16;

export interface Direct {
  readonly tokenHash: Uint8Array;
  readonly addresses: readonly string[];
}

/**
 * Brings every leg of a disk to its wanted size, grants those without a grant, and publishes the
 * map once every unit has acknowledged durably. Starts anywhere in between.
 */
export async function raiseLegs(pool: Pool, diskId: string, task: TaskContext): Promise<void> {
  kickDisk(pool, diskId);
  await untilLegs(pool, { diskId, task, what: "to be ready", test: isReady });
  const missing = pool.catalog.legsOf(diskId).filter((leg) => !pool.catalog.grants.has(leg.id));
  requireMember(pool, mustDisk(pool, diskId));
  await pool.catalog.commit(missing.map((leg) => grantOf(pool, leg.id)));
  kickDisk(pool, diskId);
  await untilLegs(pool, { diskId, task, what: "to be granted", test: isGrantedYet });
  task.commitTo("publishing the map");
  await publish(pool, diskId);
  kickDisk(pool, diskId);
}

/** A new generation for a volume's grant; the unit fences every older one before it answers. */
export function grantOf(pool: Pool, volumeId: string, direct: Direct | null = null): Change {
  const { epoch, counter } = pool.epoch.nextGeneration();
  pool.reconciler.forgive(volumeId);
  return {
    table: "grants",
    put: {
      volumeId,
      epoch,
      counter,
      state: "active",
      grantedBytes: 0,
      tokenHash: direct?.tokenHash ?? null,
      addressesJson: direct === null ? null : JSON.stringify(direct.addresses),
    },
  };
}

/** Wanted no more: fenced and deleted by its unit as soon as that can be reached. */
export function buryLeg(pool: Pool, leg: VolumeRow, reason: string): Change[] {
  const { epoch, counter } = pool.epoch.nextGeneration();
  const known = pool.catalog.grants.get(leg.id);
  pool.reconciler.forgive(leg.id);
  return [
    { table: "volumes", remove: leg.id },
    { table: "grants", remove: leg.id },
    {
      table: "tombstones",
      put: {
        volumeId: leg.id,
        unitId: leg.unitId,
        diskId: leg.diskId,
        epoch,
        counter,
        knownEpoch: known?.epoch ?? 0,
        knownCounter: known?.counter ?? 0,
        done: 0,
        reason,
        createdMs: pool.world.clock.wallMs(),
      },
    },
  ];
}

/** What was not published is taken back; a disk without a published leg goes as a whole. */
export async function takeBack(pool: Pool, diskId: string, reason: string): Promise<void> {
  const disk = pool.catalog.disks.get(diskId);
  if (disk === undefined) return;
  const changes: Change[] = [];
  let published = 0;
  for (const leg of pool.catalog.legsOf(diskId)) {
    published += leg.publishedBytes;
    if (leg.publishedBytes === 0) changes.push(...buryLeg(pool, leg, reason));
    else if (leg.sizeBytes !== leg.publishedBytes) {
      const put = { ...leg, sizeBytes: leg.publishedBytes };
      changes.push({ table: "volumes", put });
    }
  }
  if (published === 0) changes.push({ table: "disks", remove: diskId });
  else changes.push({ table: "disks", put: { ...disk, sizeBytes: published } });
  await pool.catalog.commit(changes);
  kickDisk(pool, diskId);
}

async function publish(pool: Pool, diskId: string): Promise<void> {
  const disk = mustDisk(pool, diskId);
  const legs = pool.catalog.legsOf(diskId);
  if (disk.state === "ready" && legs.every((leg) => leg.publishedBytes === leg.sizeBytes)) return;
  const sizeBytes = legs.reduce((sum, leg) => sum + leg.sizeBytes, 0);
  const version = nextVersion(pool, disk);
  await pool.catalog.commit([
    ...legs.map((leg): Change => ({
      table: "volumes",
      put: { ...leg, publishedBytes: leg.sizeBytes },
    })),
    { table: "disks", put: { ...disk, state: "ready", sizeBytes, version } },
  ]);
}

/** DvsanError "denied" when the disk's host was revoked: it is given no grant any more. */
export function requireMember(pool: Pool, disk: DiskRow): void {
  const host = pool.nodes.row(disk.hostId);
  if (host?.admission === "admitted") return;
  const name = host?.name ?? disk.hostId;
  throw new DvsanError("denied", `Cannot grant disk "${disk.name}": "${name}" is not a member.`);
}

export function mustDisk(pool: Pool, diskId: string): DiskRow {
  const disk = pool.catalog.disks.get(diskId);
  if (disk === undefined) {
    throw new DvsanError(
      "not-found",
      "The disk is gone: an earlier run took it back or released it.",
    );
  }
  return disk;
}

/** Every leg has a grant, and the disk's map tells of all of it: nothing is left half made. */
export function isPublished({ catalog }: Pool, diskId: string): boolean {
  return catalog.legsOf(diskId).every((leg) =>
    catalog.grants.has(leg.id) && leg.publishedBytes === leg.sizeBytes
  );
}

interface LegsWait {
  readonly diskId: string;
  readonly task: TaskContext;
  /** "to be ready" */
  readonly what: string;
  readonly test: (pool: Pool, leg: VolumeRow, held: VolumeInfo) => boolean;
}

/** Waits for all legs, telling how far they are; throws when one fails for good. */
export async function untilLegs(pool: Pool, wait: LegsWait): Promise<void> {
  const awaySince = new Map<string, number>();
  await pool.watch.until(() => {
    const legs = pool.catalog.legsOf(wait.diskId);
    const lagging = legs.filter((leg) => !legDone(pool, leg, { wait, awaySince }));
    if (lagging.length === 0) return true;
    tellProgress(pool, legs, { wait, lagging });
    return null;
  }, { signal: wait.task.signal });
}

function legDone(
  pool: Pool,
  leg: VolumeRow,
  options: { readonly wait: LegsWait; readonly awaySince: Map<string, number> },
): boolean {
  const held = pool.observed.volume(leg.unitId, leg.id);
  const fresh = pool.observed.fresh(leg.unitId) !== null;
  if (fresh && held !== null && leg.created === 1 && options.wait.test(pool, leg, held)) {
    return true;
  }
  if (pool.standing.state === "superseded") requireStanding(pool, "go on with this disk");
  if (pool.catalog.grants.get(leg.id)?.state === "revoked") {
    throw new DvsanError("denied", "The disk's host was revoked: it gets no grant any more.");
  }
  const unit = pool.nodes.row(leg.unitId)?.name ?? leg.unitId;
  const trouble = pool.reconciler.trouble(leg.id);
  if (trouble !== null && (FOR_GOOD.has(trouble.code) || isHopeless(trouble))) {
    throw new DvsanError(trouble.code, `Unit "${unit}" refused: ${trouble.message}`);
  }
  if (fresh && held === null && leg.created === 1) {
    throw new DvsanError("io", `Unit "${unit}" no longer holds volume ${leg.id}.`);
  }
  const broken = brokenLeg(pool, leg);
  if (broken !== null) throw new DvsanError("io", `Unit "${unit}": the volume is ${broken}`);
  if (pool.nodes.isOnline(leg.unitId)) {
    options.awaySince.delete(leg.unitId);
    return false;
  }
  const now = pool.world.clock.nowMs();
  const since = options.awaySince.get(leg.unitId) ?? now;
  options.awaySince.set(leg.unitId, since);
  if (now - since >= LEG_UNREACHABLE_MS_MAX || pool.nodes.presence(leg.unitId)?.state === "gone") {
    const why = pool.nodes.reason(leg.unitId) ?? "not reachable";
    throw new DvsanError("unavailable", `Unit "${unit}" cannot be reached: ${why}. Try again.`);
  }
  return false;
}

/** A fence is waited for longer: a stalled medium may come back. */
export function isHopeless(trouble: Trouble): boolean {
  return trouble.attempts >= (trouble.code === "fencing" ? FENCING_ATTEMPTS_MAX : ATTEMPTS_MAX);
}

function tellProgress(
  pool: Pool,
  legs: readonly VolumeRow[],
  options: { readonly wait: LegsWait; readonly lagging: readonly VolumeRow[] },
): void {
  const { task, what } = options.wait;
  const leg = defined(options.lagging[0], "somebody lags");
  const unit = pool.nodes.row(leg.unitId)?.name ?? leg.unitId;
  const words = pool.nodes.isOnline(leg.unitId)
    ? pool.reconciler.plan(leg.unitId, leg.id).difference ?? "asked"
    : pool.nodes.reason(leg.unitId) ?? "not connected";
  task.step(`waiting for leg ${leg.leg} on "${unit}" ${what}: ${words}`);
  let done = 0;
  let total = 0;
  for (const each of legs) {
    const held = pool.observed.volume(each.unitId, each.id);
    total += held?.allocatedBytes ?? each.sizeBytes;
    done += held === null ? 0 : held.state === "ready" ? held.allocatedBytes : held.zeroedBytes;
  }
  // The last tenth is granting and publishing.
  task.moved(done * 0.9, total);
}

function isReady(pool: Pool, leg: VolumeRow, held: VolumeInfo): boolean {
  return held.state === "ready" && held.sizeBytes >= leg.sizeBytes && !isLearned(pool, leg);
}

/** Its label has granted more than the catalog says: that is taken over before a map is told. */
function isLearned(pool: Pool, leg: VolumeRow): boolean {
  return pool.reconciler.plan(leg.unitId, leg.id).step?.kind === "learn";
}

/** As isGranted. DvsanError "busy" when the unit has fenced that generation: it never grants it. */
export function isGrantedYet(pool: Pool, leg: VolumeRow, held: VolumeInfo): boolean {
  if (isGranted(pool, leg, held)) return true;
  const grant = pool.catalog.grants.get(leg.id) ?? null;
  if (grant?.state !== "active" || !isFencedOff(held, grant)) return false;
  const unit = pool.nodes.row(leg.unitId)?.name ?? leg.unitId;
  throw new DvsanError(
    "busy",
    `Unit "${unit}" has fenced leg ${leg.leg} meanwhile, with a medium that was adopted or for ` +
      "another station. It is granted again by itself; then try again.",
  );
}

/** The unit acknowledged exactly the generation that is wanted. */
export function isGranted(pool: Pool, leg: VolumeRow, held: VolumeInfo): boolean {
  const grant = pool.catalog.grants.get(leg.id);
  if (grant === undefined || held.grant?.state !== "active") return false;
  const { epoch, counter } = held.grant.generation;
  const same = epoch === grant.epoch && counter === grant.counter;
  return same && grant.grantedBytes >= leg.sizeBytes && !isLearned(pool, leg);
}
