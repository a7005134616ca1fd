import type { DataPathResult, Sample } from "./data_path.ts";
import { figuresOf, formatFigures, formatNumber, formatTable, ratioToBest } from "./figures.ts";
import type { LatencyResult } from "./latency.ts";
import { isOurs } from "./servers.ts";
import type { Workload } from "./workloads.ts";

const MIB = 1024 * 1024;

export function latencyReport(result: LatencyResult): string {
  const rows = [...result].map(([what, samples]) => [what, formatFigures(figuresOf(samples))]);
  return `## Power-on and requests, milliseconds\n\n${formatTable([["what", "ms"], ...rows])}`;
}

export function dataPathReport(result: DataPathResult): string {
  const isLarge = ({ blockBytes }: Workload) => blockBytes >= MIB;
  const rate = (workload: Workload) => (sample: Sample) =>
    isLarge(workload) ? sample.bytesPerSecond / MIB : sample.requestsPerSecond;
  const settings = result.contenders.map(({ name, settings }) => `- ${name}: \`${settings}\``);
  const leftOut = result.leftOut.map((reason) => `- left out: ${reason}`);
  return [
    "## Data path: ours to the best peer of the same round",
    ratioTable(result, rate),
    "## Data path: requests a second, MiB/s at 1 MiB",
    figuresTable(result, rate),
    "## Data path: processor time of the server, µs for each request",
    figuresTable(result, () => (sample) => sample.processorUsPerRequest),
    "## Data path: median latency, µs",
    figuresTable(result, () => (sample) => sample.latencyUsMedian),
    "Servers:",
    [...settings, ...leftOut].join("\n"),
  ].join("\n\n");
}

type Pick = (workload: Workload) => (sample: Sample) => number;

function ratioTable({ contenders, workloads, samples }: DataPathResult, pick: Pick): string {
  const ours = contenders.filter(isOurs);
  const peers = contenders.filter((contender) => !isOurs(contender));
  const rows = workloads.map((workload) => {
    const of = (contender: typeof ours[number]) => samples(workload, contender).map(pick(workload));
    const ratios = ours.map((contender) => ratioToBest(of(contender), peers.map(of)));
    return [workload.title, ...ratios.map((ratio) => ratio === null ? "–" : formatNumber(ratio))];
  });
  return formatTable([["workload", ...ours.map(({ name }) => name)], ...rows]);
}

function figuresTable({ contenders, workloads, samples }: DataPathResult, pick: Pick): string {
  const rows = workloads.map((workload) => [
    workload.title,
    ...contenders.map((contender) =>
      formatFigures(figuresOf(samples(workload, contender).map(pick(workload))))
    ),
  ]);
  return formatTable([["workload", ...contenders.map(({ name }) => name)], ...rows]);
}
