import type { NodeFigures } from "../../protocol/config/bodies.ts";
import { type CountRun, countsOf, totalOf } from "../../protocol/config/count_run.ts";
import type { Meter } from "../../protocol/config/meters.ts";
import {
  ERROR_KINDS,
  LATENCY_BOUNDS_MS,
  LATENCY_BUCKETS,
  LATENCY_CLASSES,
  quantileMs,
} from "../../protocol/core/counted.ts";
import type { LoadCounts, LoadView } from "../../web/load_views.ts";

/** What a heartbeat told of one thing. Sums are since its node started. */
export interface Told {
  readonly connections: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly sums: LoadCounts;
  /** The errors among them, by ERROR_KINDS. */
  readonly errors: CountRun;
  /** What was answered, by bucket, for each of LATENCY_CLASSES; of a node as a whole none. */
  readonly latencies: readonly CountRun[];
  /** Their sums in microseconds. */
  readonly micros: readonly number[];
}

export function toldOf(meter: Meter): Told {
  const [, , connections, inFlight, queued, readBytes, writtenBytes, ...rest] = meter;
  const [readUs, writeUs, flushUs, otherUs, errors, ...latencies] = rest;
  const [reads = 0, writes = 0, ...others] = latencies.map(totalOf);
  return {
    connections,
    inFlight,
    queued,
    sums: {
      reads,
      writes,
      others: others.reduce((sum, count) => sum + count, 0),
      readBytes,
      writtenBytes,
      errors: totalOf(errors),
    },
    errors,
    latencies,
    micros: [readUs, writeUs, flushUs, otherUs],
  };
}

export function toldOfNode(figures: NodeFigures): Told {
  const { connections, inFlight, queued, errors, uptimeMs: _, ...sums } = figures;
  return {
    connections,
    inFlight,
    queued,
    sums: { ...sums, errors: totalOf(errors) },
    errors,
    latencies: [],
    micros: [],
  };
}

/** Whether it can have come of `before`: a sum that fell is one of a node that started anew. */
export function follows(now: Told, before: Told): boolean {
  return SUMS.every((sum) => now.sums[sum] >= before.sums[sum]) &&
    now.micros.every((micros, i) => micros >= (before.micros[i] ?? 0));
}

/** Whether nothing was answered in between. */
export function isSame(now: Told, before: Told): boolean {
  return SUMS.every((sum) => now.sums[sum] === before.sums[sum]);
}

const SUMS = [
  "reads",
  "writes",
  "others",
  "readBytes",
  "writtenBytes",
  "errors",
] as const satisfies readonly (keyof LoadCounts)[];

/** The errors of those kinds that were seen. */
export function errorsByKind({ errors }: Told): LoadView["errorsByKind"] {
  const counts = countsOf(errors, ERROR_KINDS.length);
  return Object.fromEntries(
    ERROR_KINDS.flatMap(({ name }, i) => counts[i]! > 0 ? [[name, counts[i]!]] : []),
  );
}

/** The view of what was told of something, and before; null: that cannot be subtracted. */
export function loadView(
  now: Told,
  earlier: { readonly before: Told | null; readonly seconds: number; readonly ageMs: number },
): LoadView {
  const { before, seconds, ageMs } = earlier;
  const rate = (sum: keyof LoadCounts) =>
    before === null || seconds <= 0 ? null : (now.sums[sum] - before.sums[sum]) / seconds;
  const [read, write] = [latelyOf(now, before, 0), latelyOf(now, before, 1)];
  return {
    ageMs,
    connections: now.connections,
    inFlight: now.inFlight,
    queued: now.queued,
    totals: now.sums,
    errorsByKind: errorsByKind(now),
    perSecond: {
      reads: rate("reads"),
      writes: rate("writes"),
      others: rate("others"),
      readBytes: rate("readBytes"),
      writtenBytes: rate("writtenBytes"),
      errors: rate("errors"),
    },
    latencyMs: {
      readMean: read.meanMs,
      readP99: read.p99Ms,
      writeMean: write.meanMs,
      writeP99: write.p99Ms,
    },
    latencyHistogram: Object.fromEntries(
      now.latencies.map((run, i) => [LATENCY_CLASSES[i]!, bucketsOf(run)]),
    ),
  };
}

/** Mean and 99th percentile of what was answered since `before`; null: nothing was. */
function latelyOf(now: Told, before: Told | null, latencyClass: number) {
  const run = now.latencies[latencyClass];
  const earlier = before?.latencies[latencyClass];
  if (run === undefined || earlier === undefined) return { meanMs: null, p99Ms: null };
  const counts = countsOf(earlier, LATENCY_BUCKETS);
  const lately = countsOf(run, LATENCY_BUCKETS).map((count, i) => Math.max(0, count - counts[i]!));
  const answered = lately.reduce((sum, count) => sum + count, 0);
  const micros = now.micros[latencyClass]! - before!.micros[latencyClass]!;
  return {
    meanMs: answered === 0 ? null : micros / answered / 1000,
    p99Ms: quantileMs(lately, 0.99),
  };
}

function bucketsOf(run: CountRun): { upToMs: number | null; count: number }[] {
  return run.slice(1).flatMap((count, i) => {
    const bound = LATENCY_BOUNDS_MS[run[0]! + i];
    const upToMs = bound === undefined ? null : Number(bound.toPrecision(10));
    return count === 0 ? [] : [{ upToMs, count }];
  });
}
