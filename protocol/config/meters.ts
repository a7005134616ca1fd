import { z } from "zod";
import { ERROR_KINDS, LATENCY_BUCKETS } from "../core/counted.ts";
import { CONNECTIONS_PER_HEARTBEAT_MAX, METERS_PER_HEARTBEAT_MAX } from "../core/limits.ts";
import { countRun } from "./count_run.ts";

const Sum = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

const ErrorRun = countRun(ERROR_KINDS.length);
const LatencyRun = countRun(LATENCY_BUCKETS);

/** What a node did as a whole: sums since it started, but for the gauges. */
export const NodeFigures = z.strictObject({
  uptimeMs: Sum,
  connections: Sum, // gauge
  inFlight: Sum, // gauge
  queued: Sum, // gauge
  readBytes: Sum,
  writtenBytes: Sum,
  reads: Sum,
  writes: Sum,
  others: Sum,
  /** By ERROR_KINDS. */
  errors: ErrorRun,
});
export type NodeFigures = z.infer<typeof NodeFigures>;

export const METER_KINDS = ["volume", "medium", "disk", "leg", "connection"] as const;
export type MeterKind = (typeof METER_KINDS)[number];

/** What a meter's numbers are, in their order. All but the gauges are sums since its start. */
export const METER_FIELDS = [
  "connections", // gauge
  "inFlight", // gauge
  "queued", // gauge
  "readBytes",
  "writtenBytes",
  // Sums of latencies, for each of LATENCY_CLASSES.
  "readMicros",
  "writeMicros",
  "flushMicros",
  "otherMicros",
] as const;
export type MeterField = (typeof METER_FIELDS)[number];

/**
 * One thing of a node with its counters, in a packet: kind, id, the numbers of METER_FIELDS, its
 * errors by ERROR_KINDS, and how many requests were answered, by LATENCY_CLASSES and by bucket. A
 * row rather than an object, since many have to fit. The id is a volume's, medium's or disk's UUID;
 * a leg's is the disk's, a slash, and its number; a connection's is that of its volume or disk, a
 * slash, its own number, which is never used again, a slash, and the client's address or "unix".
 */
export const Meter = z.tuple([
  z.enum(METER_KINDS),
  z.string().min(1).max(128),
  Sum,
  Sum,
  Sum,
  Sum,
  Sum,
  Sum,
  Sum,
  Sum,
  Sum,
  ErrorRun,
  LatencyRun,
  LatencyRun,
  LatencyRun,
  LatencyRun,
]);
export type Meter = z.infer<typeof Meter>;

/** Position of a meter's errors; its latencies follow. */
export const METER_ERRORS_AT = 2 + METER_FIELDS.length;

/** The part of a heartbeat that tells of single things. */
export const Meters = z.strictObject({
  /** What changed since it was told last; of more than fit, those that were told longest ago. */
  rows: z.array(Meter).max(METERS_PER_HEARTBEAT_MAX),
  /** Nothing else has changed. */
  whole: z.boolean(),
  /** The connections that did most since the last heartbeat, in place of those told before. */
  connections: z.array(Meter).max(CONNECTIONS_PER_HEARTBEAT_MAX).optional(),
});
export type Meters = z.infer<typeof Meters>;
