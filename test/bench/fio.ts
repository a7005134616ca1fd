import { z } from "zod";
import { type Cell, READ_SHARE } from "./cells.ts";

/** What one run says about one server. */
export interface RunResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Null where the client does not tell. */
  readonly latencyUsMedian: number | null;
  readonly latencyUsP99: number | null;
}

/** What fio is pointed at: an NBD server, or a file or device without any server. */
export type Target =
  | { readonly kind: "nbd"; readonly uri: string }
  | { readonly kind: "path"; readonly path: string; readonly direct: boolean };

export interface RunOptions {
  readonly seconds: number;
  readonly sizeBytes: number;
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

/** The arguments of fio for one run. */
export function fioArguments(cell: Cell, target: Target, options: RunOptions): string[] {
  const to = target.kind === "nbd"
    ? ["--ioengine=nbd", `--uri=${target.uri}`]
    : ["--ioengine=io_uring", `--filename=${target.path}`, ...target.direct ? ["--direct=1"] : []];
  return [
    `--name=${cell.name}`,
    ...to,
    `--rw=${cell.rw}`,
    ...cell.rw === "randrw" ? [`--rwmixread=${READ_SHARE}`] : [],
    `--bs=${cell.blockBytes}`,
    `--iodepth=${cell.depth}`,
    `--size=${options.sizeBytes}`,
    `--runtime=${Math.round(options.seconds * 1000)}ms`,
    ...cell.connections > 1
      ? ["--thread", "--group_reporting", `--numjobs=${cell.connections}`]
      : [],
    "--time_based",
    "--norandommap",
    "--randrepeat=0",
    "--percentile_list=50:99",
    "--output-format=json",
  ];
}

/** Reads fio's JSON; its nbd engine says something in front of it. Throws when there is none. */
export function parseFio(output: string): RunResult {
  const start = output.indexOf("{");
  if (start < 0) throw new Error(`fio gave no report: ${output.slice(0, 500)}`);
  const { jobs: [{ error, read, write }] } = Report.parse(JSON.parse(output.slice(start)));
  if (error !== 0) throw new Error(`fio failed with error ${error}`);
  const main = read.total_ios >= write.total_ios ? read : write;
  return {
    requests: read.total_ios + write.total_ios,
    requestsPerSecond: read.iops + write.iops,
    bytesPerSecond: read.bw_bytes + write.bw_bytes,
    latencyUsMedian: (main.clat_ns.percentile?.["50.000000"] ?? 0) / 1000,
    latencyUsP99: (main.clat_ns.percentile?.["99.000000"] ?? 0) / 1000,
  };
}
