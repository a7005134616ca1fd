import { z } from "zod";
import type { Workload } from "./workloads.ts";

/** What one run of fio says about one server. */
export interface FioResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  readonly latencyUsMedian: number;
}

const Direction = z.object({
  total_ios: z.number(),
  iops: z.number(),
  bw_bytes: z.number(),
  clat_ns: z.object({ percentile: z.record(z.string(), z.number()).optional() }),
});
const Report = z.object({
  jobs: z.tuple([z.object({ error: z.number(), read: Direction, write: Direction })]),
});

/** The arguments of fio for one run against an NBD server. */
export function fioArguments(
  workload: Workload,
  { uri, seconds, sizeBytes }: { uri: string; seconds: number; sizeBytes: number },
): string[] {
  return [
    `--name=${workload.name}`,
    "--ioengine=nbd",
    `--uri=${uri}`,
    `--rw=${workload.rw}`,
    `--bs=${workload.blockBytes}`,
    `--iodepth=${workload.depth}`,
    `--size=${sizeBytes}`,
    `--runtime=${seconds}`,
    "--time_based",
    "--norandommap",
    "--randrepeat=0",
    "--percentile_list=50",
    "--output-format=json",
  ];
}

/** Reads fio's JSON; its nbd engine says something in front of it. Throws when there is none. */
export function parseFio(output: string, rw: Workload["rw"]): FioResult {
  const start = output.indexOf("{");
  if (start < 0) throw new Error(`fio gave no report: ${output.slice(0, 500)}`);
  const { jobs: [job] } = Report.parse(JSON.parse(output.slice(start)));
  if (job.error !== 0) throw new Error(`fio failed with error ${job.error}`);
  const direction = rw === "read" || rw === "randread" ? job.read : job.write;
  return {
    requests: direction.total_ios,
    requestsPerSecond: direction.iops,
    bytesPerSecond: direction.bw_bytes,
    latencyUsMedian: (direction.clat_ns.percentile?.["50.000000"] ?? 0) / 1000,
  };
}
