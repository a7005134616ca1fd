import { z } from "zod";
import {
  CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX,
  METERS_PER_HEARTBEAT_WATCHED_MAX,
} from "../core/limits.ts";

const Sum = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Counters of a node since it started, for the console. */
export const NodeFigures = z.strictObject({
  uptimeMs: Sum,
  connections: Sum,
  readBytes: Sum,
  writtenBytes: Sum,
  reads: Sum,
  writes: Sum,
  errors: Sum,
});
export type NodeFigures = z.infer<typeof NodeFigures>;

export const METER_KINDS = ["volume", "medium", "disk", "leg", "connection"] as const;
export type MeterKind = (typeof METER_KINDS)[number];

/** What a meter's numbers are, in their order. All but the gauges are sums since its start. */
export const METER_FIELDS = [
  "connections", // gauge
  "inFlight", // gauge
  "queued", // gauge
  "reads", // answered
  "writes", // answered
  "others", // answered
  "readBytes",
  "writtenBytes",
  "errors",
  "readMicros", // sum of latencies
  "writeMicros",
  "readP99Micros", // of what was answered since this meter was told last; 0: nothing
  "writeP99Micros",
] as const;
export type MeterField = (typeof METER_FIELDS)[number];

/**
 * One thing of a node with its counters, in a packet: kind, id and the numbers of METER_FIELDS. A
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
  Sum,
  Sum,
  Sum,
  Sum,
]);
export type Meter = z.infer<typeof Meter>;

/** The part of a heartbeat that tells of single things. */
export const Meters = z.strictObject({
  /** What changed since it was told last; of more than fit, those that were told longest ago. */
  rows: z.array(Meter).max(METERS_PER_HEARTBEAT_WATCHED_MAX),
  /** Nothing else has changed. */
  whole: z.boolean(),
  /** The connections that did most since the last heartbeat, in place of those told before. */
  connections: z.array(Meter).max(CONNECTIONS_PER_HEARTBEAT_WATCHED_MAX).optional(),
});
export type Meters = z.infer<typeof Meters>;
