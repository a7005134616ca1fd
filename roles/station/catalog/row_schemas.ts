import { z } from "zod";
import type { Tables } from "./rows.ts";

/** What a record of each table has to be, for files that may be damaged. */

const Text = z.string();
const Key = z.string().min(1);
const Whole = z.number().int().nonnegative();
const Flag = z.union([z.literal(0), z.literal(1)]);
const Blob = z.instanceof(Uint8Array);
const Json = z.string().refine((text) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}, "it is not JSON");

const SCHEMAS = {
  meta: z.strictObject({ key: Key, value: Text }),
  nodes: z.strictObject({
    id: Key,
    name: Key,
    role: z.enum(["unit", "host"]),
    publicKey: Blob.refine((key) => key.length === 32, "a key has 32 bytes"),
    admission: z.enum(["pending", "admitted", "revoked"]),
    spare: Flag,
    version: Text,
    interfacesJson: Json,
    dataAddressesJson: Json,
    quotaBytes: Whole,
    joinedMs: z.number().int(),
  }),
  disks: z.strictObject({
    id: Key,
    name: Key,
    hostId: Key,
    layout: z.literal("linear"),
    sizeBytes: Whole,
    version: Whole,
    deliveredVersion: Whole,
    state: z.enum(["creating", "ready", "releasing", "released"]),
    access: z.enum(["agent", "direct"]),
    adopted: Flag,
    createdMs: z.number().int(),
  }),
  volumes: z.strictObject({
    id: Key,
    diskId: Key,
    unitId: Key,
    leg: Whole,
    sizeBytes: Whole,
    publishedBytes: Whole,
    created: Flag,
    number: Whole,
    startLba: Whole,
  }),
  grants: z.strictObject({
    volumeId: Key,
    epoch: Whole,
    counter: Whole,
    state: z.enum(["active", "revoked"]),
    grantedBytes: Whole,
    tokenHash: Blob.nullable(),
    addressesJson: Json.nullable(),
  }),
  tombstones: z.strictObject({
    volumeId: Key,
    unitId: Key,
    diskId: Key,
    epoch: Whole,
    counter: Whole,
    knownEpoch: Whole,
    knownCounter: Whole,
    done: Flag,
    reason: Text,
    createdMs: z.number().int(),
  }),
  tasks: z.strictObject({
    id: Key,
    number: Whole,
    kind: Key,
    title: Text,
    state: z.enum(["queued", "running", "done", "failed", "cancelled"]),
    paramsJson: Json,
    owner: Text,
    hostId: Text.nullable(),
    locksJson: Json,
    progress: z.number(),
    step: Text,
    errorJson: Json.nullable(),
    createdMs: z.number().int(),
    startedMs: z.number().int().nullable(),
    endedMs: z.number().int().nullable(),
  }),
  observed: z.strictObject({ unitId: Key, atMs: z.number().int(), info: Blob }),
} as const;

/** Of what is not held in memory. */
const HISTORY_SCHEMAS = {
  events: z.strictObject({
    number: Whole,
    atMs: z.number().int(),
    kind: Key,
    severity: z.enum(["info", "warn", "error"]),
    subject: Text,
    text: Text,
  }),
  taskLogs: z.strictObject({ taskId: Key, line: Whole, atMs: z.number().int(), text: Text }),
} as const;

export type CheckedTable = keyof typeof SCHEMAS;
export const CHECKED_TABLES = Object.keys(SCHEMAS) as CheckedTable[];

export type HistoryTable = keyof typeof HISTORY_SCHEMAS;
export const HISTORY_TABLES = Object.keys(HISTORY_SCHEMAS) as HistoryTable[];

/** Why the record cannot be one of this table, or null. */
export function invalidRow<T extends CheckedTable | HistoryTable>(
  table: T,
  row: Tables[T],
): string | null {
  const parsed = { ...SCHEMAS, ...HISTORY_SCHEMAS }[table].safeParse(row);
  if (parsed.success) return null;
  const issue = parsed.error.issues[0];
  return `${issue?.path.join(".")}: ${issue?.message}`;
}
