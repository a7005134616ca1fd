import { z } from "zod";
import {
  ADDRESSES_PER_NODE_MAX,
  EXTENTS_PER_VOLUME_MAX,
  LEGS_PER_DISK_MAX,
  MEDIA_PER_UNIT_MAX,
  NAME_CHARACTERS_MAX,
  TEXT_CHARACTERS_MAX,
  VOLUMES_PER_UNIT_MAX,
} from "../core/limits.ts";
import { ERROR_CODES } from "../core/errors.ts";
import { NodeFigures } from "./meters.ts";
import { Openings } from "./openings.ts";

export { NodeFigures };

/**
 * The things that station, unit and host tell each other about, as schemas. Bodies of packets are
 * CBOR of these; the same objects go over a unit's mailbox, so there is one vocabulary.
 * Byte strings are Uint8Array. Sizes and positions are bytes unless the name says LBA or blocks.
 */

export const Uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
/** First 16 bytes of SHA-256 of the node's X25519 public key, in hex. */
export const NodeId = z.string().regex(/^[0-9a-f]{32}$/);
export const Name = z.string().min(1).max(NAME_CHARACTERS_MAX)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
/** Exactly 32 bytes, as Uint8Array over any buffer. */
const Bytes32 = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === 32,
  "32 bytes",
);
export const PublicKey = Bytes32;
export const Bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
export const Count = Bytes;
export const Text = z.string().max(TEXT_CHARACTERS_MAX);
/** As much of it as Text takes. */
export function asText(text: string): string {
  return text.slice(0, TEXT_CHARACTERS_MAX);
}
/** "192.0.2.1:10809" or "[2001:db8::1]:10809". */
export const Address = z.string().min(3).max(80);
export const Addresses = z.array(Address).max(ADDRESSES_PER_NODE_MAX);

/** Orders grants and station messages; compared epoch first (control.md §4). */
export const Generation = z.strictObject({ epoch: Count, counter: Count });
export type Generation = z.infer<typeof Generation>;

/** Negative when a is older than b, 0 when equal. */
export function compareGenerations(a: Generation, b: Generation): number {
  return a.epoch - b.epoch || a.counter - b.counter;
}

export const Layout = z.enum(["linear"]);

/** What a volume is to the disk it belongs to; enough to rebuild disks and owners from labels. */
export const LegInfo = z.strictObject({
  diskId: Uuid,
  diskName: Name,
  layout: Layout,
  /** From 0. */
  leg: z.number().int().min(0).max(LEGS_PER_DISK_MAX - 1),
  /** Legs of the disk when this record was written. */
  legs: z.number().int().min(1).max(LEGS_PER_DISK_MAX),
  ownerId: NodeId,
  ownerName: Name,
  ownerKey: PublicKey,
});
export type LegInfo = z.infer<typeof LegInfo>;

/** For consumers without our agent (data-path.md §3). */
export const DirectAccess = z.strictObject({
  /** SHA-256 of the token in the export name. */
  tokenHash: Bytes32,
  /** IP addresses, without port, that may use it. */
  addresses: z.array(z.string().max(64)).min(1).max(ADDRESSES_PER_NODE_MAX),
});

/** One host's exclusive right to use a volume, as the unit's label holds it. */
export const GrantInfo = z.strictObject({
  generation: Generation,
  hostId: NodeId,
  hostKey: PublicKey,
  state: z.enum(["active", "fencing", "fenced"]),
  /** What of the volume was granted, and is served. */
  sizeBytes: Bytes,
  /** Milliseconds since fencing began, while it is under way. */
  fencingForMs: Count.optional(),
  /** No generation up to this one is ever granted again. Left out unless it is above this. */
  fencedThrough: Generation.optional(),
  direct: DirectAccess.optional(),
});
export type GrantInfo = z.infer<typeof GrantInfo>;

export const MEDIUM_STATES = [
  "ok",
  "poisoned", // a sync failed
  "failed", // reads or writes fail
  "quarantined", // its label cannot be trusted
  "foreign", // labelled by another unit or cluster
  "stale", // its label is older than this unit remembers
  "moved", // its device is not the one that it was served on last: perhaps a copy
  "duplicate", // its UUID is served already
  "missing", // served before, or a part of volumes here, and none of the paths given holds it
  "refused", // a path that was not taken; its id stands for the path
] as const;

export const MediumInfo = z.strictObject({
  id: Uuid,
  path: z.string().max(4096),
  sizeBytes: Bytes,
  /** Free for volumes, zeroed or not; whole extents. */
  freeBytes: Bytes,
  /** The part of freeBytes that is known to be zero. */
  zeroedBytes: Bytes,
  /** The most that one more volume could get, after its header. */
  largestVolumeBytes: Bytes,
  state: z.enum(MEDIUM_STATES),
  /** Why it is not ok. */
  reason: Text.optional(),
  /** It has lost what it was given, and cannot be used for another reason besides. */
  poisoned: z.literal(true).optional(),
  /** Its device has fewer bytes than its label says, and it cannot be adopted before it has all. */
  shrunk: z.literal(true).optional(),
  /** An older copy was adopted in its place: adopted, it is a part of its volumes again. */
  wasReplaced: z.literal(true).optional(),
  sequence: Count,
  /** Of one that the unit has open: what tells whether it is the one that was here before. */
  openings: Openings.optional(),
  errors: Count,
});
export type MediumInfo = z.infer<typeof MediumInfo>;

export const VolumeInfo = z.strictObject({
  id: Uuid,
  /** Of this unit; never used again. */
  number: Count,
  /** What a host can use: without the header. Blocks startLba..endLba (inclusive). */
  sizeBytes: Bytes,
  startLba: Count,
  endLba: Count,
  media: z.array(Uuid).min(1).max(EXTENTS_PER_VOLUME_MAX),
  /** How often this volume's record was written; requests name the one they expect. */
  sequence: Count,
  state: z.enum(["zeroing", "ready", "incomplete", "failed"]),
  reason: Text.optional(),
  /** Its creation is not on its labels yet: nobody may rely on what a power cut could undo. */
  making: z.literal(true).optional(),
  zeroedBytes: Bytes,
  /** With header and rounding: what zeroedBytes runs up to. */
  allocatedBytes: Bytes,
  leg: LegInfo,
  grant: GrantInfo.nullable(),
});
export type VolumeInfo = z.infer<typeof VolumeInfo>;

/** All that a unit holds: the body of STORAGE_INFO. */
export const StorageInfo = z.strictObject({
  /** Rises with every change of what follows, also across restarts. */
  revision: Count,
  /** Highest station epoch accepted, and the instance it was accepted from. */
  epoch: Count,
  instance: z.string().max(64),
  media: z.array(MediumInfo).max(MEDIA_PER_UNIT_MAX),
  volumes: z.array(VolumeInfo).max(VOLUMES_PER_UNIT_MAX),
});
export type StorageInfo = z.infer<typeof StorageInfo>;

/** Named by every message that changes a unit (control.md §4). */
const Change = {
  station: z.strictObject({ epoch: Count, instance: z.string().max(64) }),
  volumeId: Uuid,
  /** The volume record's sequence that the station believes in; 0: there is none yet. */
  expectedSequence: Count,
};

export const VolumeCreate = z.strictObject({ ...Change, sizeBytes: Bytes, leg: LegInfo });
export type VolumeCreate = z.infer<typeof VolumeCreate>;
/** Grows, or gives an end back that was never granted. `leg` replaces the record's. */
export const VolumeResize = z.strictObject({ ...Change, sizeBytes: Bytes, leg: LegInfo });
export type VolumeResize = z.infer<typeof VolumeResize>;
/** Refused while a grant is active. */
export const VolumeDelete = z.strictObject({ ...Change });
export type VolumeDelete = z.infer<typeof VolumeDelete>;
/** Makes the grant current, fencing an older generation first. */
export const AccessGrant = z.strictObject({
  ...Change,
  generation: Generation,
  hostId: NodeId,
  hostKey: PublicKey,
  sizeBytes: Bytes,
  direct: DirectAccess.optional(),
});
export type AccessGrant = z.infer<typeof AccessGrant>;
/** Fences every generation up to this one. */
export const AccessRevoke = z.strictObject({ ...Change, generation: Generation });
export type AccessRevoke = z.infer<typeof AccessRevoke>;
/** Answer to the five above: the volume afterwards (null: deleted). */
export const VolumeAnswer = z.strictObject({ volume: VolumeInfo.nullable() });

/** Where a host finds one leg. */
export const LegAssignment = z.strictObject({
  leg: z.number().int().min(0).max(LEGS_PER_DISK_MAX - 1),
  unitId: NodeId,
  unitName: Name,
  unitKey: PublicKey,
  /** Data addresses, best first. */
  addresses: Addresses,
  volumeId: Uuid,
  volumeNumber: Count,
  sizeBytes: Bytes,
  startLba: Count,
  endLba: Count,
  generation: Generation,
});
export type LegAssignment = z.infer<typeof LegAssignment>;

/** The body of VOLUME_ASSIGNMENT: one disk, whole. */
export const Assignment = z.strictObject({
  diskId: Uuid,
  name: Name,
  layout: Layout,
  /** Rises with every change of the map. */
  version: Count,
  sizeBytes: Bytes,
  /** "direct": the agent must not attach it. "released": the host forgets it. */
  state: z.enum(["attached", "direct", "released"]),
  legs: z.array(LegAssignment).max(LEGS_PER_DISK_MAX),
});
export type Assignment = z.infer<typeof Assignment>;

export const Refusal = z.strictObject({
  code: z.enum(ERROR_CODES),
  message: z.string().max(4096),
  details: z.unknown().optional(),
});
export type Refusal = z.infer<typeof Refusal>;

export const TASK_STATES = ["queued", "running", "done", "failed", "cancelled"] as const;

/** A task as its asker sees it. */
export const TaskView = z.strictObject({
  id: z.string().max(64),
  kind: z.string().max(64),
  title: z.string().max(256),
  state: z.enum(TASK_STATES),
  /** 0 to 1. */
  progress: z.number().min(0).max(1),
  /** What it does or waits for now. */
  step: Text,
  error: Refusal.optional(),
});
export type TaskView = z.infer<typeof TaskView>;

export const DiskCreate = z.strictObject({
  /** Chosen by the host, so that a repeat is the same request. */
  diskId: Uuid,
  name: Name,
  sizeBytes: Bytes,
  layout: Layout,
});
export const DiskGrow = z.strictObject({ diskId: Uuid, sizeBytes: Bytes });
export const DiskRelease = z.strictObject({ diskId: Uuid });
/** `direct`: hand out tokens for consumers without the agent; otherwise back to the agent. */
export const DiskAccess = z.strictObject({ diskId: Uuid, direct: z.boolean() });
export const TaskAnswer = z.strictObject({
  task: TaskView,
  /** For DISK_ACCESS with `direct`, once the task is done: a URI for each leg, in order. */
  uris: z.array(z.string().max(512)).max(LEGS_PER_DISK_MAX).optional(),
});
export const TaskQuery = z.strictObject({ taskId: z.string().max(64) });

export const Goodbye = z.strictObject({
  reason: Text,
  planned: z.boolean(),
  /** How long the node expects to be away; 0: not coming back. */
  awayMs: Count,
});

/** What a node tells about itself inside handshake message 1. */
export const NodeHello = z.strictObject({
  role: z.enum(["unit", "host"]),
  name: Name,
  version: z.string().max(32),
  spare: z.boolean(),
  /** Every address of every interface. */
  interfaces: z.array(z.string().max(64)).max(ADDRESSES_PER_NODE_MAX),
  dataAddresses: Addresses,
  bootId: z.string().max(64),
  /** Random, of this run of the process: two that take turns show a copied identity. */
  run: z.string().max(32).optional(),
  /** HMAC of the handshake hash keyed by the join secret; at a first join. */
  joinProof: Bytes32.optional(),
});
export type NodeHello = z.infer<typeof NodeHello>;
