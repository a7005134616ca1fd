import { assert } from "../../../protocol/core/assert.ts";

/**
 * The catalog's records, exactly as they stand in SQLite and in memory: text, numbers, bytes and
 * null. Records are never changed in place; a change puts a new one. JSON columns end in `Json`,
 * yes-or-no columns are 0 or 1, times are milliseconds since 1970 for people's eyes only.
 */

/** The tables that are held in memory whole, with the column that names a row. */
export const KEYS = {
  meta: "key",
  nodes: "id",
  disks: "id",
  volumes: "id",
  grants: "volumeId",
  tombstones: "volumeId",
  tasks: "id",
  observed: "unitId",
} as const;

export interface MetaRow {
  readonly key: string;
  readonly value: string;
}

export interface NodeRow {
  readonly id: string;
  readonly name: string;
  readonly role: "unit" | "host";
  readonly publicKey: Uint8Array;
  readonly admission: "pending" | "admitted" | "revoked";
  readonly spare: 0 | 1;
  readonly version: string;
  /** Every address of every interface, as last announced. */
  readonly interfacesJson: string;
  readonly dataAddressesJson: string;
  readonly quotaBytes: number;
  readonly joinedMs: number;
}

export type DiskState =
  | "creating" // legs are made and granted; the host knows nothing yet
  | "ready"
  | "releasing" // the host is told, then legs are fenced and deleted
  | "released"; // kept until the host has acknowledged that it is gone

export interface DiskRow {
  readonly id: string;
  readonly name: string;
  readonly hostId: string;
  readonly layout: "linear";
  /** What was asked for; the host sees the sum of the legs' `publishedBytes`. */
  readonly sizeBytes: number;
  /** Of the map that hosts are told; 0: never told. */
  readonly version: number;
  /** Highest version the host acknowledged durably. */
  readonly deliveredVersion: number;
  readonly state: DiskState;
  readonly access: "agent" | "direct";
  /**
   * Rebuilt from what units hold, or told of by a catalog that was behind: hosts may know a newer
   * map. It is told again, above every version, once all its legs were seen.
   */
  readonly adopted: 0 | 1;
  readonly createdMs: number;
}

/** A volume that the station wants a unit to hold: one leg of one disk. */
export interface VolumeRow {
  readonly id: string;
  readonly diskId: string;
  readonly unitId: string;
  readonly leg: number;
  /** Size wanted, as hosts see it. */
  readonly sizeBytes: number;
  /** Size in the map that hosts are told; 0: not in it yet. */
  readonly publishedBytes: number;
  /** The unit said once that it holds it: it is never made anew. */
  readonly created: 0 | 1;
  readonly number: number;
  readonly startLba: number;
}

export interface GrantRow {
  readonly volumeId: string;
  readonly epoch: number;
  readonly counter: number;
  /** "revoked": every generation up to this one is to be fenced. */
  readonly state: "active" | "revoked";
  /** Size that the unit acknowledged for this generation; 0: none yet. It may grow. */
  readonly grantedBytes: number;
  /** For consumers without the agent. */
  readonly tokenHash: Uint8Array | null;
  readonly addressesJson: string | null;
}

/**
 * The only thing that ever deletes a volume. Kept when done, up to a limit: a volume that comes
 * back with an old copy of its medium is deleted again.
 */
export interface TombstoneRow {
  readonly volumeId: string;
  readonly unitId: string;
  readonly diskId: string;
  /** Fences every generation up to this one before the volume goes. */
  readonly epoch: number;
  readonly counter: number;
  /** The newest grant that was known when this was decided; 0.0 for none. */
  readonly knownEpoch: number;
  readonly knownCounter: number;
  readonly done: 0 | 1;
  readonly reason: string;
  readonly createdMs: number;
}

export type TaskState = "queued" | "running" | "done" | "failed" | "cancelled";

export interface TaskRow {
  readonly id: string;
  /** Order of creation. */
  readonly number: number;
  readonly kind: string;
  readonly title: string;
  readonly state: TaskState;
  readonly paramsJson: string;
  readonly owner: string;
  /** The host that may ask about it, or null. */
  readonly hostId: string | null;
  readonly locksJson: string;
  readonly progress: number;
  readonly step: string;
  readonly errorJson: string | null;
  readonly createdMs: number;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
}

export interface TaskLogRow {
  readonly taskId: string;
  readonly line: number;
  readonly atMs: number;
  readonly text: string;
}

export interface EventRow {
  readonly number: number;
  readonly atMs: number;
  readonly kind: string;
  readonly severity: "info" | "warn" | "error";
  readonly subject: string;
  readonly text: string;
}

/** The last StorageInfo of a unit, so that the console shows something after a restart. */
export interface ObservedRow {
  readonly unitId: string;
  readonly atMs: number;
  /** CBOR of StorageInfo. */
  readonly info: Uint8Array;
}

export interface Tables {
  meta: MetaRow;
  nodes: NodeRow;
  disks: DiskRow;
  volumes: VolumeRow;
  grants: GrantRow;
  tombstones: TombstoneRow;
  tasks: TaskRow;
  taskLogs: TaskLogRow;
  events: EventRow;
  observed: ObservedRow;
}

/** What names the record among those of its table. */
export function keyOf<T extends keyof typeof KEYS>(table: T, row: Tables[T]): string {
  const key = (row as unknown as Record<string, unknown>)[KEYS[table]];
  assert(typeof key === "string", `a row of ${table} has no key`);
  return key;
}

/** The same of a record that may be damaged, for words about it. */
export function foundKeyOf(table: keyof typeof KEYS, row: object): string {
  return String((row as Record<string, unknown>)[KEYS[table]]);
}
