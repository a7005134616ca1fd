import { z } from "zod";
import { wait } from "../../protocol/core/clock.ts";
import { LOAD_WATCH_MS } from "../../protocol/core/limits.ts";
import { type LoadKind, LoadRow, type LoadView } from "../../web/load_views.ts";
import { errorsText } from "./errors_text.ts";
import type { ProcessContext } from "../process/context.ts";
import { formatSize } from "../process/sizes.ts";
import { formatTable } from "../process/tables.ts";
import type { StationClient } from "./client.ts";

interface Watcher {
  readonly client: Pick<StationClient, "get">;
  readonly json: boolean;
  readonly process: Pick<ProcessContext, "clock" | "signal" | "stdout">;
}

/** Lines of a terminal that does not say how many it has. */
const ROWS_DEFAULT = 24;

/**
 * Shows every second what each thing of a kind does, until the process is asked to stop: on a
 * terminal in place, busiest first; elsewhere one table after the other, or with `json` one line.
 */
export async function watchLoad(what: LoadKind, by: Watcher): Promise<void> {
  const { clock, signal, stdout } = by.process;
  if (stdout.isTerminal && !by.json) stdout.write("\x1b[2J");
  while (!signal.aborted) {
    const rows = await by.client.get(`/load/${what}`, z.array(LoadRow));
    if (by.json) {
      stdout.line(JSON.stringify({ atMs: Math.round(clock.wallMs()), [what]: rows }));
    } else if (stdout.isTerminal) {
      const { columns } = stdout;
      const rowsMax = (stdout.rows ?? ROWS_DEFAULT) - 3;
      const lines = loadText(what, rows, { rowsMax, columns }).split("\n")
        .map((line) => `${[...line].slice(0, columns).join("")}\x1b[K\n`);
      stdout.write(`\x1b[H${lines.join("")}\x1b[J`);
    } else {
      stdout.line(`${loadText(what, rows)}\n`);
    }
    // Being asked to stop ends the wait, and is what ends this well.
    await wait(clock, LOAD_WATCH_MS, signal);
  }
}

const HEADINGS: Readonly<Record<LoadKind, readonly [string, string]>> = {
  volumes: ["UNIT", "DISK/LEG"],
  media: ["UNIT", "MEDIUM"],
  disks: ["HOST", "DISK"],
  legs: ["HOST", "DISK/LEG"],
  connections: ["NODE", "OF, FROM"],
  units: ["UNIT", ""],
  hosts: ["HOST", ""],
};

/** Two that belong together are left out together where a line has no room for them. */
type Optional = "mean" | "p99" | "bytes";

interface Column {
  readonly heading: string;
  /** What it goes with; null: it is always there. */
  readonly optional: Optional | null;
  readonly cell: (load: LoadView) => string;
}

/** Which go first. Who watches wants rates, what is under way and errors most. */
const LEFT_OUT_FIRST: readonly Optional[] = ["mean", "p99", "bytes"];

const COLUMNS: readonly Column[] = [
  column("READ/s", null, ({ perSecond }) => countText(perSecond.reads)),
  column("WRITE/s", null, ({ perSecond }) => countText(perSecond.writes)),
  column("READ", "bytes", ({ perSecond }) => sizeText(perSecond.readBytes)),
  column("WRITTEN", "bytes", ({ perSecond }) => sizeText(perSecond.writtenBytes)),
  column("R-MEAN", "mean", ({ latencyMs }) => latencyText(latencyMs.readMean)),
  column("R-P99", "p99", ({ latencyMs }) => latencyText(latencyMs.readP99)),
  column("W-MEAN", "mean", ({ latencyMs }) => latencyText(latencyMs.writeMean)),
  column("W-P99", "p99", ({ latencyMs }) => latencyText(latencyMs.writeP99)),
  column("FLIGHT", null, ({ inFlight }) => String(inFlight)),
  column("ERR", null, (load) => errorsText(load.errorsByKind) || String(load.totals.errors)),
];

function column(heading: string, optional: Optional | null, cell: Column["cell"]): Column {
  return { heading, optional, cell };
}

/** Columns of a name that was cut, at least. */
const NAME_COLUMNS_MIN = 6;

/**
 * A table of the busiest `rowsMax` rows, and a line that says what is not shown. Where a line has
 * only so many `columns`, latencies are left out, then names are cut, then rates of bytes left out.
 */
export function loadText(
  what: LoadKind,
  rows: readonly LoadRow[],
  { rowsMax = rows.length, columns = Infinity }: { rowsMax?: number; columns?: number } = {},
): string {
  if (rows.length === 0) return `No ${what} yet.`;
  const busy = [...rows].sort((a, b) => activityOf(b) - activityOf(a));
  const shown = busy.slice(0, Math.max(1, rowsMax));
  const table = fittingTable(what, shown, columns);
  const left = rows.length - shown.length;
  return left === 0 ? table : `${table}\n… and ${left} more that do less`;
}

function fittingTable(what: LoadKind, rows: readonly LoadRow[], columns: number): string {
  let table = "";
  for (let step = 0; step <= LEFT_OUT_FIRST.length; step++) {
    const leftOut = LEFT_OUT_FIRST.slice(0, step);
    const kept = COLUMNS.filter(({ optional }) => optional === null || !leftOut.includes(optional));
    table = tableOf(what, rows, { kept, nameMax: Infinity });
    const excess = widthOf(table) - columns;
    if (excess <= 0) return table;
    // Latencies go for names, and names are cut for rates.
    if (!leftOut.includes("p99")) continue;
    for (let nameMax = longestName(what, rows) - 1; nameMax >= NAME_COLUMNS_MIN; nameMax--) {
      table = tableOf(what, rows, { kept, nameMax });
      if (widthOf(table) <= columns) return table;
    }
  }
  return table;
}

function tableOf(
  what: LoadKind,
  rows: readonly LoadRow[],
  { kept, nameMax }: { readonly kept: readonly Column[]; readonly nameMax: number },
): string {
  const headings = HEADINGS[what].filter((heading) => heading !== "");
  return formatTable(
    [...headings, ...kept.map(({ heading }) => heading)],
    rows.map((row) => [
      ...namesOf(what, row).map((name) => cut(name, nameMax)),
      ...row.load === null ? [] : kept.map(({ cell }) => cell(row.load!)),
    ]),
  );
}

function namesOf(what: LoadKind, { node, name }: LoadRow): string[] {
  return HEADINGS[what][1] === "" ? [node] : [node, name];
}

function longestName(what: LoadKind, rows: readonly LoadRow[]): number {
  return Math.max(...rows.flatMap((row) => namesOf(what, row).map((name) => [...name].length)));
}

/** Both ends of a name tell more than its beginning alone: paths differ at their end. */
function cut(name: string, max: number): string {
  const all = [...name];
  if (all.length <= max) return name;
  const head = Math.ceil((max - 1) / 2);
  return `${all.slice(0, head).join("")}…${all.slice(all.length - (max - 1 - head)).join("")}`;
}

function widthOf(table: string): number {
  return Math.max(...table.split("\n").map((line) => [...line].length));
}

function activityOf({ load }: LoadRow): number {
  if (load === null) return -1;
  return (load.perSecond.reads ?? 0) + (load.perSecond.writes ?? 0) + load.inFlight;
}

function countText(perSecond: number | null): string {
  return perSecond === null ? "-" : String(Math.round(perSecond));
}

function sizeText(perSecond: number | null): string {
  return perSecond === null ? "-" : `${formatSize(Math.round(perSecond))}/s`;
}

function latencyText(ms: number | null): string {
  if (ms === null) return "-";
  return ms < 1 ? `${Math.round(ms * 1000)} µs` : `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}
