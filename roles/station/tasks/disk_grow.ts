import { z } from "zod";
import { roundUp } from "../../../protocol/core/bytes.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import {
  EXTENT_STEP_BYTES,
  LEGS_PER_DISK_MAX,
  SIZE_STEP_BYTES,
} from "../../../protocol/core/limits.ts";
import { randomUuid } from "../../../protocol/core/random.ts";
import { allocate, allocatedBytesOf, type Candidate, growRoomBytes } from "../allocation.ts";
import type { Change } from "../catalog/catalog.ts";
import type { DiskRow, VolumeRow } from "../catalog/rows.ts";
import { requireCertain } from "../certainty.ts";
import { brokenLeg } from "../making.ts";
import { candidatesOf, type Pool, untilUnitsReturned } from "../pool.ts";
import { sizeText } from "../words.ts";
import { giveUp, untilDelivered } from "./disk_create.ts";
import { mustDisk, raiseLegs, untilLegs } from "./legs.ts";
import type { TaskContext } from "./task.ts";

const Params = z.object({ diskId: z.string(), sizeBytes: z.number() });

/** Grows the last leg where its unit has room, or appends legs; publishes when all are granted. */
export async function growDiskWork(pool: Pool, params: unknown, task: TaskContext): Promise<void> {
  const { diskId, sizeBytes } = Params.parse(params);
  await untilUnitsReturned(pool, task.signal);
  const disk = mustDisk(pool, diskId);
  requireCertain(pool, disk, "grow");
  if (disk.state !== "ready" || disk.access !== "agent") {
    throw new DvsanError(
      "busy",
      `Cannot grow disk "${disk.name}": it is being released or direct.`,
    );
  }
  const legs = pool.catalog.legsOf(diskId);
  if (legs.every((leg) => leg.publishedBytes === leg.sizeBytes)) {
    // Before anything is asked of any unit: a disk of which a leg is away or broken cannot be
    // published, and what had grown meanwhile would have to be taken back.
    await untilLegs(pool, { diskId, task, what: "to be there", test: isThere });
    const changes = planGrowth(pool, disk, sizeBytes);
    if (changes.length > 0) await pool.catalog.commit(changes);
  }
  try {
    await raiseLegs(pool, diskId, task);
  } catch (error) {
    throw await giveUp(pool, diskId, { task, error });
  }
  const grown = mustDisk(pool, diskId);
  const text = `Disk "${disk.name}" has now ${sizeText(grown.sizeBytes)}.`;
  pool.events.say({ kind: "disk.grown", severity: "info", subject: disk.name, text });
  await untilDelivered(pool, diskId, task);
}

/**
 * What the catalog has to want so that the disk has `sizeBytes`; nothing when it has. DvsanError
 * "no-space" with the reasons for every unit; "limit" when only the last leg could grow.
 */
export function planGrowth(pool: Pool, disk: DiskRow, sizeBytes: number): Change[] {
  const wanted = roundUp(sizeBytes, SIZE_STEP_BYTES);
  const legs = pool.catalog.legsOf(disk.id);
  const last = legs.at(-1);
  const missing = wanted - legs.reduce((sum, leg) => sum + leg.sizeBytes, 0);
  if (missing <= 0) return [];
  const grown: Change = { table: "disks", put: { ...disk, sizeBytes: wanted } };
  const units = candidatesOf(pool);
  const isLast = ({ unitId }: Candidate) => unitId === last?.unitId;
  if (last !== undefined) {
    const target = last.sizeBytes + missing;
    const more = allocatedBytesOf(target) - allocatedBytesOf(last.sizeBytes);
    const unit = units.find(isLast);
    if (unit !== undefined && growRoomBytes(unit) >= roundUp(more, EXTENT_STEP_BYTES)) {
      pool.reconciler.forgive(last.id);
      return [grown, { table: "volumes", put: { ...last, sizeBytes: target } }];
    }
  }
  // By number, not by count: what is rebuilt from labels may lack legs before its last.
  const nextLeg = (last?.leg ?? -1) + 1;
  if (nextLeg >= LEGS_PER_DISK_MAX) throw noPlaceForMore(disk, units.find(isLast));
  const allocation = allocate(missing, { units, legsMax: LEGS_PER_DISK_MAX - nextLeg });
  if (!allocation.possible) throw noSpace(`grow disk "${disk.name}"`, allocation);
  return [grown, ...newLegs(pool, disk.id, { places: allocation.legs, nextLeg })];
}

/**
 * Nothing is left to be done about it either: of what an earlier growth ordered, its unit may have
 * granted more than was heard of. That is learned, or given back, before anything comes behind it.
 */
function isThere(pool: Pool, leg: VolumeRow): boolean {
  const { step, destroys } = pool.reconciler.plan(leg.unitId, leg.id);
  return brokenLeg(pool, leg) === null && step === null && !destroys;
}

function noPlaceForMore(disk: DiskRow, unit: Candidate | undefined): DvsanError {
  const left = unit === undefined
    ? ""
    : ` "${unit.name}" has room for ${sizeText(growRoomBytes(unit))} more.`;
  return new DvsanError(
    "limit",
    `Cannot grow disk "${disk.name}" onto another unit: its last leg is leg ${
      LEGS_PER_DISK_MAX - 1
    }, the last that a disk can have.${left} Add a medium to that unit, or ask for less.`,
  );
}

/** Records of legs to be made. */
export function newLegs(
  pool: Pool,
  diskId: string,
  options: {
    readonly places: readonly { readonly unitId: string; readonly sizeBytes: number }[];
    readonly nextLeg: number;
  },
): Change[] {
  return options.places.map((place, index): Change => {
    const put: VolumeRow = {
      id: randomUuid(pool.world.random),
      diskId,
      unitId: place.unitId,
      leg: options.nextLeg + index,
      sizeBytes: place.sizeBytes,
      publishedBytes: 0,
      created: 0,
      number: 0,
      startLba: 0,
    };
    return { table: "volumes", put };
  });
}

/** The refusal of a full pool, with the reason for every unit in words and as details. */
export function noSpace(what: string, allocation: ReturnType<typeof allocate>): DvsanError {
  const reasons = allocation.units.map((unit) => `"${unit.unit}" ${unit.reason}`);
  const why = reasons.length === 0 ? "the pool has no units" : reasons.join("; ");
  const message = `Cannot ${what}: no room. ${why}. Add a medium or a unit, or ask for less.`;
  return new DvsanError("no-space", message.slice(0, 4000), { details: allocation });
}
