import type { Cell } from "./cells.ts";
import type { RunOptions, RunResult } from "./fio.ts";
import { output } from "./processes.ts";

/** Without them it asks as it thinks best. */
function flagsOf({ blockBytes, depth, connections }: Cell): string[] {
  return [
    "--no-extents",
    `--request-size=${blockBytes}`,
    `--requests=${depth}`,
    `--connections=${connections}`,
    `--threads=${connections}`,
  ];
}

/** Copies the whole export, again and again until the time is over. */
export async function runNbdcopy(
  cell: Cell,
  uri: string,
  { seconds, sizeBytes, source }: RunOptions & { source: string },
): Promise<RunResult> {
  const flags = cell.medium === "tls" ? flagsOf(cell) : [];
  const ends = cell.rw === "read" ? [uri, "null:"] : [source, uri];
  const beganMs = performance.now();
  let copies = 0;
  do {
    await output(["nbdcopy", ...flags, ...ends]);
    copies++;
  } while (performance.now() - beganMs < seconds * 1000);
  const perSecond = copies / ((performance.now() - beganMs) / 1000);
  const requestsPerCopy = sizeBytes / cell.blockBytes;
  return {
    requests: copies * requestsPerCopy,
    requestsPerSecond: perSecond * requestsPerCopy,
    bytesPerSecond: perSecond * sizeBytes,
    latencyUsMedian: null,
    latencyUsP99: null,
  };
}
