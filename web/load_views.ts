import { z } from "zod";
import { ERROR_KINDS, LATENCY_CLASSES } from "../protocol/core/counted.ts";

/** What the station tells of the load of its nodes, as their heartbeats say it. */

const Rate = z.number().nullable();
const LoadCounts = z.object({
  reads: z.number(),
  writes: z.number(),
  others: z.number(),
  readBytes: z.number(),
  writtenBytes: z.number(),
  errors: z.number(),
});
export type LoadCounts = z.infer<typeof LoadCounts>;

/** Errors by kind, of those kinds that were seen. */
export const ErrorsByKind = z.partialRecord(
  z.enum(ERROR_KINDS.map(({ name }) => name)),
  z.number(),
);
export type ErrorsByKind = z.infer<typeof ErrorsByKind>;

/** How many were answered so fast, of those bounds where any were; null: later than all others. */
const Buckets = z.array(z.object({ upToMs: z.number().nullable(), count: z.number() }));

/** What something does, as its node's heartbeats say. */
export const LoadView = z.object({
  /** Since the heartbeat that told of it. */
  ageMs: z.number(),
  connections: z.number(),
  inFlight: z.number(),
  /** Of those in flight, the ones that no device has. */
  queued: z.number(),
  /** Since the node started. */
  totals: LoadCounts,
  /** The errors among them. */
  errorsByKind: ErrorsByKind,
  /** Null: it was told of once only since the node started. */
  perSecond: z.object({
    reads: Rate,
    writes: Rate,
    others: Rate,
    readBytes: Rate,
    writtenBytes: Rate,
    errors: Rate,
  }),
  /** Of what was answered lately; null: nothing was. The p99 is rounded up, at most doubled. */
  latencyMs: z.object({ readMean: Rate, readP99: Rate, writeMean: Rate, writeP99: Rate }),
  /** Since the node started, by class of request; empty of whole units and hosts. */
  latencyHistogram: z.partialRecord(z.enum(LATENCY_CLASSES), Buckets),
});
export type LoadView = z.infer<typeof LoadView>;

export const LOAD_KINDS = [
  "volumes",
  "media",
  "disks",
  "legs",
  "connections",
  "units",
  "hosts",
] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

/** One volume, medium, disk, leg, connection, unit or host with its load. */
export const LoadRow = z.object({
  id: z.string(),
  /**
   * A disk's, unit's or host's name; a medium's path; a volume's or leg's disk and leg; a
   * connection's disk, with its leg at units, and who is at its other end.
   */
  name: z.string(),
  nodeId: z.string(),
  node: z.string(),
  /** Null: its node has told nothing of it in this run of the station. */
  load: LoadView.nullable(),
});
export type LoadRow = z.infer<typeof LoadRow>;
