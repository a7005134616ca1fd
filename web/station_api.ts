import { z } from "zod";
import { ErrorsByKind, type LoadKind, type LoadRow } from "./load_views.ts";

/**
 * The one interface through which web/ sees the station. REST and (later) the console are two views
 * of it. Everything is plain JSON; sizes are bytes, times are milliseconds, ids are text.
 */

const Bytes = z.number().int().nonnegative();
/** Of a disk it may be HOST/NAME. */
export const Id = z.string().min(1).max(128);
export const NameText = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

export const NODE_STATES = [
  "pending", // waits for an administrator's approval
  "joining", // the session stands, its storage information is not read yet
  "online",
  "leaving", // said goodbye, expected back within its time
  "silent", // nothing heard for a while
  "gone", // said goodbye for good, or away longer than announced
  "revoked",
] as const;

export const PoolView = z.object({
  /** "superseded": a second station with this one's key came later; this one changes nothing. */
  state: z.enum(["normal", "recovered", "superseded"]),
  epoch: z.number(),
  units: z.number(),
  unitsOnline: z.number(),
  hosts: z.number(),
  sizeBytes: Bytes,
  freeBytes: Bytes,
  /** Free and zeroed: can be granted at once. */
  readyBytes: Bytes,
  allocatedBytes: Bytes,
  volumes: z.number(),
  disks: z.number(),
  tasksRunning: z.number(),
});
export type PoolView = z.infer<typeof PoolView>;

export const MediumView = z.object({
  id: Id,
  path: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  sizeBytes: Bytes,
  freeBytes: Bytes,
  zeroedBytes: Bytes,
  errors: z.number(),
});

export const NodeView = z.object({
  id: Id,
  name: z.string(),
  role: z.enum(["unit", "host"]),
  state: z.enum(NODE_STATES),
  reason: z.string().nullable(),
  spare: z.boolean(),
  version: z.string(),
  address: z.string().nullable(),
  dataAddresses: z.array(z.string()),
  lastHeardMsAgo: z.number().nullable(),
  /** From the packet that announced it to its storage being in the pool; null until then. */
  joinMs: z.number().nullable(),
  figures: z.record(z.string(), z.number()),
});
export type NodeView = z.infer<typeof NodeView>;

export const UnitView = NodeView.extend({
  media: z.array(MediumView),
  sizeBytes: Bytes,
  freeBytes: Bytes,
  zeroedBytes: Bytes,
  volumes: z.number(),
});
export type UnitView = z.infer<typeof UnitView>;

export const HostView = NodeView.extend({
  quotaBytes: Bytes,
  usedBytes: Bytes,
  disks: z.array(z.object({ id: Id, name: z.string() })),
});
export type HostView = z.infer<typeof HostView>;

export const VolumeView = z.object({
  id: Id,
  number: z.number().nullable(),
  unitId: Id,
  unit: z.string(),
  sizeBytes: Bytes,
  /** As the unit told it last; "wanted" before it exists there. */
  state: z.string(),
  /** Why the unit is away, in words: nobody knows what is so there now. Null while it is there. */
  away: z.string().nullable(),
  zeroedBytes: Bytes,
  allocatedBytes: Bytes,
  sequence: z.number(),
  startLba: z.number().nullable(),
  endLba: z.number().nullable(),
  diskId: Id.nullable(),
  disk: z.string().nullable(),
  leg: z.number().nullable(),
  hostId: Id.nullable(),
  host: z.string().nullable(),
  generation: z.string().nullable(),
  grantState: z.string().nullable(),
  /** How long a fence of it had been under way when its unit told last. */
  fencingForMs: z.number().nullable(),
  /** In words: what the station wants that the unit does not hold yet, or the other way round. */
  difference: z.string().nullable(),
  /** Requests that ended with an error since its unit started, as its heartbeats say. */
  errorsByKind: ErrorsByKind,
});
export type VolumeView = z.infer<typeof VolumeView>;

export const DiskView = z.object({
  id: Id,
  name: z.string(),
  hostId: Id,
  host: z.string(),
  layout: z.string(),
  sizeBytes: Bytes,
  version: z.number(),
  state: z.enum(["creating", "ready", "growing", "direct", "releasing", "degraded", "failed"]),
  reason: z.string().nullable(),
  legs: z.array(z.object({
    leg: z.number(),
    volumeId: Id,
    unitId: Id,
    unit: z.string(),
    sizeBytes: Bytes,
    generation: z.string(),
    addresses: z.array(z.string()),
  })),
});
export type DiskView = z.infer<typeof DiskView>;

export const TaskRecord = z.object({
  id: Id,
  kind: z.string(),
  title: z.string(),
  state: z.enum(["queued", "running", "done", "failed", "cancelled"]),
  progress: z.number(),
  step: z.string(),
  /** Bytes a second where it makes sense. */
  rate: z.number().nullable(),
  leftMs: z.number().nullable(),
  owner: z.string(),
  locks: z.array(z.string()),
  createdMs: z.number(),
  startedMs: z.number().nullable(),
  endedMs: z.number().nullable(),
  error: z.object({ code: z.string(), message: z.string(), details: z.unknown().optional() })
    .nullable(),
  log: z.array(z.object({ atMs: z.number(), text: z.string() })),
});
export type TaskRecord = z.infer<typeof TaskRecord>;

export const EventRecord = z.object({
  /** Rises by one; never used again, also across restarts. */
  number: z.number(),
  atMs: z.number(),
  kind: z.string(),
  severity: z.enum(["info", "warn", "error"]),
  subject: z.string(),
  text: z.string(),
});
export type EventRecord = z.infer<typeof EventRecord>;

/** One thing in which station and unit, or station and host, do not agree; in plain words. */
export const DifferenceView = z.object({
  kind: z.enum(["unit", "host", "volume", "medium", "disk"]),
  subject: z.string(),
  /** What the station wanted. */
  wanted: z.string(),
  /** What the unit or host holds. */
  held: z.string(),
  /** What the station does about it. */
  will: z.string(),
  /** What happens beyond that once an operator has confirmed. */
  onConfirm: z.string().nullable(),
  /** What it waits for. */
  waits: z.string().nullable(),
});
export type DifferenceView = z.infer<typeof DifferenceView>;

export const RecoveryView = z.object({
  state: PoolView.shape.state,
  /** Why the state is not normal, in sentences. */
  reasons: z.array(z.string()),
  /** Names this list, as it is shown: what is confirmed is this one and no other. */
  list: z.string(),
  differences: z.array(DifferenceView),
  /** Units that did not tell in this run of the station what they hold. */
  unseen: z.array(z.string()),
  /** Nodes that the catalog lets in, by role and name: it may know of no later revocation. */
  members: z.array(z.string()),
});
export type RecoveryView = z.infer<typeof RecoveryView>;
export const ConfirmInput = z.strictObject({ list: z.string().min(1).max(64) });

/** What was found in the catalog's file, and what is set aside. */
export const CatalogView = z.object({
  file: z.string(),
  /** Nothing was found. */
  isSound: z.boolean(),
  findings: z.array(z.string()),
  setAside: z.array(z.object({
    path: z.string(),
    reason: z.string(),
    kept: z.number(),
    lost: z.array(z.string()),
  })),
});
export type CatalogView = z.infer<typeof CatalogView>;

export const MEDIUM_ACTIONS = ["adopt", "forget", "reopen"] as const;
export const MediumInput = z.strictObject({
  action: z.enum(MEDIUM_ACTIONS),
  /** Said after the refusal that tells what is lost by it. */
  yes: z.boolean().default(false),
});

/** Why each unit was chosen or not. */
export const AllocationView = z.object({
  possible: z.boolean(),
  legs: z.array(z.object({ unitId: Id, unit: z.string(), sizeBytes: Bytes })),
  units: z.array(
    z.object({ unitId: Id, unit: z.string(), chosen: z.boolean(), reason: z.string() }),
  ),
});
export type AllocationView = z.infer<typeof AllocationView>;

export const DiskCreateInput = z.strictObject({
  host: z.string().min(1).max(64),
  name: NameText,
  sizeBytes: Bytes.positive(),
  layout: z.enum(["linear"]).default("linear"),
});
export const DiskGrowInput = z.strictObject({ sizeBytes: Bytes.positive() });
export const AllocationInput = z.strictObject({ sizeBytes: Bytes.positive() });

/**
 * Nodes and disks are named by id or by name. Every method rejects with DvsanError ("not-found",
 * "no-space" with an AllocationView as details, "exists", "quota", "busy", …).
 */
export interface StationApi {
  pool(): PoolView;
  units(): UnitView[];
  hosts(): HostView[];
  volumes(): VolumeView[];
  disks(): DiskView[];
  /** Nodes tell more, for some seconds, once this was asked. */
  load(kind: LoadKind): LoadRow[];
  tasks(options?: { limit?: number }): Promise<TaskRecord[]>;
  task(id: string): Promise<TaskRecord>;
  cancelTask(id: string): Promise<TaskRecord>;
  /** Events with a number above `after`, oldest first. */
  events(options: { after: number; limit: number }): Promise<EventRecord[]>;
  /** Calls `run` for every event from now on, until the returned function is called. */
  subscribe(run: (event: EventRecord) => void): () => void;
  explainAllocation(input: z.infer<typeof AllocationInput>): AllocationView;
  createDisk(input: z.infer<typeof DiskCreateInput>, owner: string): Promise<TaskRecord>;
  growDisk(disk: string, input: z.infer<typeof DiskGrowInput>, owner: string): Promise<TaskRecord>;
  releaseDisk(disk: string, owner: string): Promise<TaskRecord>;
  approveNode(node: string, owner: string): Promise<NodeView>;
  /** Ends its sessions and fences its grants. */
  revokeNode(node: string, owner: string): Promise<TaskRecord>;
  /** Makes a new join secret for a role and writes the key file anew. */
  rotateJoinKey(role: "unit" | "host", owner: string): Promise<{ path: string }>;
  differences(): DifferenceView[];
  recovery(): RecoveryView;
  /** Ends the recovered state; "busy" when the list is not `list` any more. */
  confirmRecovery(list: string, owner: string): Promise<RecoveryView>;
  checkCatalog(): Promise<CatalogView>;
  /** Writes the catalog anew from what is right of it; what was found before and after. */
  repairCatalog(owner: string): Promise<CatalogView>;
  changeMedium(
    at: { readonly unit: string; readonly medium: string },
    input: z.infer<typeof MediumInput>,
    owner: string,
  ): Promise<TaskRecord>;
  health(): { ok: boolean; state: string; problems: string[] };
}
