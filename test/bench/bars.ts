import { type Cell, FAIRNESS, isLarge } from "./cells.ts";
import type { DataPathResult, Sample } from "./data_path.ts";
import { type Figures, figuresOf, ratioToBest } from "./figures.ts";

/** A figure that is to be reached, in one cell. */
export interface Bar {
  readonly what: string;
  readonly cell: string;
  readonly figures: Figures;
  /** `least`: as much or more is wanted; `most`: as much or less. */
  readonly wanted: "least" | "most";
  readonly limit: number;
  readonly unit: "" | " µs";
}

export type Verdict = "met" | "within the spread" | "not met";

const MANY = 32;
/** What counts as the same, at most. */
const SPREAD_MAX = 0.1;
const EPOLL_RATIO = 0.8;
const HOST_SHARE_MAX = 1.6;
const HOST_LATENCY_US_MAX = 25;

/** By what it is over or under, next to how far the rounds lie apart. */
export function verdictOf({ figures, wanted, limit }: Bar): Verdict {
  const sign = wanted === "least" ? 1 : -1;
  const by = sign * (figures.median - limit);
  if (by >= 0) return "met";
  // Rounds that lie wide apart prove nothing: they do not make a bar easier.
  const spread = Math.min(figures.spread, SPREAD_MAX) * figures.median;
  return by + spread >= 0 ? "within the spread" : "not met";
}

/** All bars for which there are figures. None is set for TLS. */
export function barsOf(result: DataPathResult): Bar[] {
  const isBarred = (cell: Cell) => !FAIRNESS.includes(cell) && cell.medium !== "tls";
  return result.cells.filter(isBarred).flatMap((cell) => [
    ...speedBars(result, cell),
    ...processorBars(result, cell),
    ...hostBars(result, cell),
  ]);
}

function speedBars(result: DataPathResult, cell: Cell): Bar[] {
  const uring = rates(result, cell, "dvsan-uring");
  const epoll = rates(result, cell, "dvsan-epoll");
  const peers = result.contenders.filter(({ role }) => role === "peer");
  const all = peers.map(({ name }) => rates(result, cell, name));
  const nbdkits = peers.filter(isNbdkit).map(({ name }) => rates(result, cell, name));
  const isTmpfs = cell.medium === "tmpfs";
  const isMany = !isLarge(cell) && cell.blockBytes === 4096 && cell.depth >= MANY;
  const limit = isTmpfs ? (isMany ? 1.15 : 1) : 0.95;
  const least = { wanted: "least", unit: "" } as const;
  const figures = ratioToBest(uring, all);
  const bars = barOf(cell, { ...least, what: "uring to the best peer", figures, limit });
  if (!isTmpfs) return bars;
  const toNbdkit = ratioToBest(epoll, nbdkits);
  const epollBar = { ...least, what: "epoll to nbdkit", figures: toNbdkit, limit: EPOLL_RATIO };
  return [...bars, ...barOf(cell, epollBar)];
}

function processorBars(result: DataPathResult, cell: Cell): Bar[] {
  if (cell.depth < MANY || cell.medium !== "tmpfs" || cell.tool !== "fio") return [];
  const us = ({ processorUs }: Sample) => processorUs;
  const uring = result.samples(cell, "dvsan-uring").map(us);
  const nbdkits = result.contenders.filter(isNbdkit)
    .map(({ name }) => result.samples(cell, name).map(us));
  const ratios = uring.flatMap((value, round) => {
    const least = Math.min(...nbdkits.map((samples) => samples[round] ?? Infinity));
    return Number.isFinite(least) ? [value / least] : [];
  });
  const figures = figuresOf(ratios);
  const what = "processor time to nbdkit's least";
  return barOf(cell, { what, figures, wanted: "most", limit: 1, unit: "" });
}

function hostBars(result: DataPathResult, cell: Cell): Bar[] {
  const disk = result.samples(cell, "disk-1");
  const shares = disk.flatMap(({ processorUs, hostProcessorUs }) =>
    hostProcessorUs === null || processorUs <= hostProcessorUs
      ? []
      : [hostProcessorUs / (processorUs - hostProcessorUs)]
  );
  const bars = barOf(cell, {
    what: "host's processor time to its unit's",
    figures: figuresOf(shares),
    wanted: "most",
    limit: HOST_SHARE_MAX,
    unit: "",
  });
  if (cell.depth > 1 || cell.placement !== "one") return bars;
  const unit = result.samples(cell, "dvsan-uring");
  const added = disk.flatMap((sample, round) => {
    const other = unit[round];
    return other === undefined ? [] : [meanUs(sample) - meanUs(other)];
  });
  const latency = barOf(cell, {
    what: "latency that the host adds",
    figures: figuresOf(added),
    wanted: "most",
    limit: HOST_LATENCY_US_MAX,
    unit: " µs",
  });
  return [...bars, ...latency];
}

/** None where there are no figures. */
function barOf(
  cell: Cell,
  bar: Omit<Bar, "cell" | "figures"> & { figures: Figures | null },
): Bar[] {
  const { figures } = bar;
  return figures === null ? [] : [{ ...bar, figures, cell: cell.name }];
}

function rates(result: DataPathResult, cell: Cell, contender: string): number[] {
  return result.samples(cell, contender).map(({ requestsPerSecond }) => requestsPerSecond);
}

/** At depth 1 the time of a request is what is left of a second for each. */
function meanUs({ requestsPerSecond }: Sample): number {
  return 1_000_000 / requestsPerSecond;
}

function isNbdkit({ name }: { readonly name: string }): boolean {
  return name.startsWith("nbdkit");
}
