import { type Bar, barsOf, verdictOf } from "./bars.ts";
import { type Cell, FAIRNESS, isLarge, MEDIA, type Medium, MIB } from "./cells.ts";
import type { DataPathResult, Sample } from "./data_path.ts";
import { figuresOf, formatFigures, formatNumber, formatTable, ratioToBest } from "./figures.ts";
import type { LatencyResult } from "./latency.ts";

export function latencyReport(result: LatencyResult): string {
  const rows = [...result].map(([what, samples]) => [what, formatFigures(figuresOf(samples))]);
  return `## Power-on and requests, milliseconds\n\n${formatTable([["what", "ms"], ...rows])}`;
}

const PLACES: Readonly<Record<Medium, string>> = {
  tmpfs: "tmpfs",
  direct: "O_DIRECT on a loop device over ext4",
  tls: "TLS, on tmpfs",
};

export function dataPathReport(whole: DataPathResult): string {
  const isFairness = (cell: Cell) => FAIRNESS.includes(cell);
  const result = { ...whole, cells: whole.cells.filter((cell) => !isFairness(cell)) };
  const fairness = fairnessReport({ ...whole, cells: whole.cells.filter(isFairness) });
  const rate = (cell: Cell) => (sample: Sample) =>
    isLarge(cell) ? sample.bytesPerSecond / MIB : sample.requestsPerSecond;
  const settings = result.contenders.map(({ name, settings }) => `- ${name}: \`${settings}\``);
  const leftOut = result.leftOut.map((reason) => `- left out: ${reason}`);
  const parts = MEDIA.flatMap((medium) => {
    const cells = result.cells.filter((cell) => cell.medium === medium);
    if (cells.length === 0) return [];
    const part = { ...result, cells };
    const where = PLACES[medium];
    return [
      `## ${where}: ours to the best peer of the same round`,
      ratioTable(part, rate),
      `## ${where}: requests a second, MiB/s at 1 MiB`,
      figuresTable(part, rate),
      `## ${where}: processor time of the server, µs for each request`,
      figuresTable(part, () => ({ processorUs }) => processorUs),
      // nbdcopy tells of no latencies.
      ...medium === "tls" ? [] : [
        `## ${where}: median latency, µs`,
        figuresTable(part, () => ({ latencyUsMedian }) => latencyUsMedian ?? 0),
      ],
    ];
  });
  const all = barsOf(result);
  const bars = all.length === 0 ? [] : [`## Bars\n\n${barsTable(all)}`];
  return [...parts, ...fairness, ...bars, "Servers:", [...settings, ...leftOut].join("\n")].join(
    "\n\n",
  );
}

/** What a client is left with when another one takes all that it gets. */
function fairnessReport(result: DataPathResult): string[] {
  if (result.cells.length === 0) return [];
  return [
    "## Fairness: median latency of the reader, µs",
    figuresTable(result, () => ({ latencyUsMedian }) => latencyUsMedian ?? 0),
    "## Fairness: latency of the reader that 99 of 100 requests keep to, µs",
    figuresTable(result, () => ({ latencyUsP99 }) => latencyUsP99 ?? 0),
    "## Fairness: requests a second of the writer beside it",
    figuresTable(result, () => ({ besidePerSecond }) => besidePerSecond ?? 0),
  ];
}

/** Every sample of a run, for programs. */
export function jsonReport(result: DataPathResult): string {
  const samples = result.cells.flatMap((cell) =>
    result.contenders.map(({ name }) => ({
      cell: cell.name,
      server: name,
      samples: result.samples(cell, name),
    }))
  );
  const bars = barsOf(result).map((bar) => ({ ...bar, verdict: verdictOf(bar) }));
  return JSON.stringify({ samples, bars, leftOut: result.leftOut }, null, 2);
}

type Pick = (cell: Cell) => (sample: Sample) => number;

function ratioTable({ contenders, cells, samples }: DataPathResult, pick: Pick): string {
  const ours = contenders.filter(({ role }) => role === "ours" || role === "disk");
  const peers = contenders.filter(({ role }) => role === "peer");
  const rows = cells.map((cell) => {
    const of = ({ name }: typeof ours[number]) => samples(cell, name).map(pick(cell));
    const ratios = ours.map((contender) => ratioToBest(of(contender), peers.map(of)));
    return [cell.title, ...ratios.map(formatFigures)];
  });
  return formatTable([["cell", ...ours.map(({ name }) => name)], ...rows]);
}

function figuresTable({ contenders, cells, samples }: DataPathResult, pick: Pick): string {
  const rows = cells.map((cell) => [
    cell.title,
    ...contenders.map(({ name }) => {
      const figures = figuresOf(samples(cell, name).map(pick(cell)));
      return formatFigures(figures?.median === 0 ? null : figures);
    }),
  ]);
  return formatTable([["cell", ...contenders.map(({ name }) => name)], ...rows]);
}

function barsTable(bars: readonly Bar[]): string {
  const order = [...new Set(bars.map(({ what }) => what))];
  const sorted = order.flatMap((what) => bars.filter((bar) => bar.what === what));
  const rows = sorted.map((bar) => [
    `${bar.what}, ${bar.cell}`,
    `${formatFigures(bar.figures)}${bar.unit}`,
    `${bar.wanted === "least" ? "≥" : "≤"} ${formatNumber(bar.limit)}${bar.unit}`,
    verdictOf(bar),
  ]);
  const met = bars.filter((bar) => verdictOf(bar) !== "not met").length;
  const table = formatTable([["bar", "figure", "wanted", "verdict"], ...rows]);
  return `${table}\n\n${met} of ${bars.length} bars are met.`;
}
