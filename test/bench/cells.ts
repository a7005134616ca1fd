/** What the servers' files are on; `tls`: tmpfs, with TLS that verifies both sides. */
export type Medium = "tmpfs" | "direct" | "tls";
export const MEDIA: readonly Medium[] = ["tmpfs", "direct", "tls"];

/**
 * Where client and server run. `one`: both on one and the same processor, since at depth 1 the
 * figure is otherwise the scheduler's, which wakes one of them on another processor or does not.
 * `split`: each on one of its own. `free`: wherever the scheduler puts them. `ruled`: each on one of
 * its own and at a real-time priority, so that nothing else that runs is in the figure; a client
 * goes before who is beside it.
 */
export type Placement = "one" | "split" | "free" | "ruled";

/** One way of reading or writing, as fio or nbdcopy does it. */
export interface Cell {
  readonly name: string;
  readonly title: string;
  readonly medium: Medium;
  readonly tool: "fio" | "nbdcopy";
  readonly rw: "randread" | "randwrite" | "randrw" | "read" | "write";
  readonly blockBytes: number;
  readonly depth: number;
  readonly connections: number;
  readonly placement: Placement;
  /** Who uses the same export meanwhile; the figures are of the cell itself. */
  readonly beside?: Cell;
}

const KIB = 1024;
export const MIB = 1024 * KIB;
/** Of a mixed cell's requests, so many in a hundred read. */
export const READ_SHARE = 70;

const KINDS = {
  r: { rw: "randread", words: "random read" },
  w: { rw: "randwrite", words: "random write" },
  m: { rw: "randrw", words: `random ${READ_SHARE}/${100 - READ_SHARE}` },
  R: { rw: "read", words: "sequential read" },
  W: { rw: "write", words: "sequential write" },
} as const;

/** `r4k-32x4` is a random read of 4 KiB at depth 32 over each of four connections. */
const TMPFS = [
  ...["r4k-1", "w4k-1", "m4k-1", "r4k-1-split", "w4k-1-split", "m4k-1-split"],
  ...["r4k-32", "w4k-32", "m4k-32", "r4k-128", "w4k-128", "m4k-128", "r64k-16", "w64k-16"],
  ...["R1m-8", "W1m-8", "r4k-32x4", "w4k-32x4", "m4k-32x4", "R1m-8x4", "W1m-8x4"],
];
const DIRECT = [
  ...["r4k-1", "w4k-1", "m4k-1", "r4k-32", "w4k-32", "m4k-32", "r4k-128", "w4k-128"],
  ...["r64k-16", "w64k-16", "R1m-8", "W1m-8", "r4k-32x4", "w4k-32x4"],
];

/** With nbdcopy, one request behind the other: fio's engine cannot be told of certificates. */
const TLS = ["R1m-8", "W1m-8", "R4k-32", "W4k-32", "R1m-8x4", "W1m-8x4", "R4k-32x4", "W4k-32x4"];

/** A reader of one request at a time, alone and beside one that writes at depth 128. */
const ALONE: Cell = { ...cellOf("r4k-1", "tmpfs"), name: "fairness-alone", placement: "free" };
export const FAIRNESS: readonly Cell[] = [
  { ...ALONE, title: "a reader at depth 1, alone" },
  {
    ...ALONE,
    name: "fairness",
    title: "a reader at depth 1, beside a writer at depth 128",
    beside: cellOf("w4k-128", "tmpfs"),
  },
  {
    ...ALONE,
    name: "fairness-ruled",
    title: "a reader at depth 1, beside a writer at depth 128, all in real time",
    placement: "ruled",
    beside: cellOf("w4k-128", "tmpfs"),
  },
];

export const CELLS: readonly Cell[] = [
  ...FAIRNESS,
  ...TMPFS.map((name) => cellOf(name, "tmpfs")),
  copyCell("copy-read", "read"),
  copyCell("copy-write", "write"),
  ...DIRECT.map((name) => cellOf(name, "direct")),
  ...TLS.map((name) => cellOf(name, "tls")),
];

/** The cells of a quick run: those that the others follow. */
export const QUICK: readonly string[] = [
  ...["r4k-1", "w4k-1", "r4k-1-split", "r4k-32", "w4k-32", "r4k-128"],
  ...["w4k-128", "r64k-16", "w64k-16", "R1m-8", "W1m-8", "r4k-32x4", "w4k-32x4"],
  ...["copy-read", "copy-write"],
  ...["direct-r4k-1", "direct-r4k-32", "direct-w4k-32", "direct-R1m-8", "direct-W1m-8"],
  ...["tls-R1m-8", "tls-W1m-8"],
];

export function isLarge({ blockBytes }: Cell): boolean {
  return blockBytes >= MIB;
}

function cellOf(name: string, medium: Medium): Cell {
  const match = /^([rwmRW])(\d+)([km])-(\d+)(?:x(\d+))?(-split)?$/.exec(name);
  if (match === null) throw new Error(`"${name}" is no name of a cell`);
  const [, kind, size, unit, depth, connections = "1", split] = match;
  const { rw, words } = KINDS[kind as keyof typeof KINDS];
  const placement = split !== undefined ? "split" : depth === "1" ? "one" : "free";
  const where = { one: ", one processor", split: ", one processor each", free: "" }[placement];
  const many = connections === "1" ? "" : `, ${connections} connections`;
  return {
    name: medium === "tmpfs" ? name : `${medium}-${name}`,
    title: `${size} ${unit === "k" ? "KiB" : "MiB"} ${words}, depth ${depth}${many}${where}`,
    medium,
    tool: medium === "tls" ? "nbdcopy" : "fio",
    rw,
    blockBytes: Number(size) * (unit === "k" ? KIB : MIB),
    depth: Number(depth),
    connections: Number(connections),
    placement,
  };
}

function copyCell(name: string, rw: "read" | "write"): Cell {
  const title = rw === "read" ? "nbdcopy from the export" : "nbdcopy to the export";
  const shape = { blockBytes: MIB, depth: 64, connections: 4, placement: "free" } as const;
  return { name, title, medium: "tmpfs", tool: "nbdcopy", rw, ...shape };
}
