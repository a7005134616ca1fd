import { z } from "zod";
import { HELD_LEGS_TOLD_MAX, LEGS_PER_DISK_MAX } from "../core/limits.ts";
import { Addresses, Count, Name, NodeId, Uuid } from "./bodies.ts";
import { Meters, NodeFigures } from "./meters.ts";

/** A disk that a host holds, and where its legs are. */
export const HeldDisk = z.strictObject({
  diskId: Uuid,
  name: Name,
  version: Count,
  legs: z.array(z.strictObject({
    leg: z.number().int().min(0).max(LEGS_PER_DISK_MAX - 1),
    unitId: NodeId,
    volumeId: Uuid,
  })).max(LEGS_PER_DISK_MAX),
});
export type HeldDisk = z.infer<typeof HeldDisk>;

/**
 * How far a station's catalog is, durably: its count of commits, in the run of that instance. Nodes
 * keep the last one they heard and tell it, so that a station whose whole state directory was put
 * back from a copy learns it from them.
 */
export const CatalogMark = z.strictObject({
  epoch: Count,
  instance: z.string().min(1).max(64),
  commits: Count,
});
export type CatalogMark = z.infer<typeof CatalogMark>;

export const Heartbeat = z.strictObject({
  /** Unit: StorageInfo.revision. Host: digest of the assignments it holds (diskId, version). */
  digest: z.string().max(128),
  dataAddresses: Addresses,
  figures: NodeFigures,
  meters: Meters.optional(),
  /** Host: some of its disks, by turns, when the station's last digest was another one. */
  disks: z.array(HeldDisk).max(HELD_LEGS_TOLD_MAX).optional(),
  /** The last that this node heard from a station with this key. */
  catalog: CatalogMark.optional(),
});
/** `digest`: what the station believes the node holds; it pulls or pushes when they differ. */
export const HeartbeatAnswer = z.strictObject({
  digest: z.string().max(128),
  epoch: Count,
  /** Somebody looks at figures: the next heartbeats tell all that changed. */
  watched: z.boolean().optional(),
  /** In place of what the node told, which the station needs no more. */
  catalog: CatalogMark.optional(),
});
