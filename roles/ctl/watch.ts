import { z } from "zod";
import { wait } from "../../protocol/core/clock.ts";
import { LOAD_WATCH_MS } from "../../protocol/core/limits.ts";
import { type LoadKind, LoadRow } from "../../web/load_views.ts";
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
      const lines = loadText(what, rows, (stdout.rows ?? ROWS_DEFAULT) - 3).split("\n")
        .map((line) => `${[...line].slice(0, columns).join("")}\x1b[K\n`);
      stdout.write(`\x1b[H${lines.join("")}\x1b[J`);
    } else {
      stdout.line(`${loadText(what, rows, rows.length)}\n`);
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

/** A table of the busiest `max` rows, and a line that says what is not shown. */
export function loadText(what: LoadKind, rows: readonly LoadRow[], max: number): string {
  if (rows.length === 0) return `No ${what} yet.`;
  const busy = [...rows].sort((a, b) => activityOf(b) - activityOf(a));
  const shown = busy.slice(0, Math.max(1, max));
  const [node, name] = HEADINGS[what];
  const headings = [
    node,
    name,
    "READ/s",
    "WRITE/s",
    "READ",
    "WRITTEN",
    ...LATENCY,
    "FLIGHT",
    "ERR",
  ];
  const table = formatTable(headings, shown.map((row) => cellsOf(row, name !== "")));
  const left = rows.length - shown.length;
  return left === 0 ? table : `${table}\n… and ${left} more that do less`;
}

/** Mean and 99th percentile of reads and of writes. */
const LATENCY = ["R-MEAN", "R-P99", "W-MEAN", "W-P99"];

function cellsOf(row: LoadRow, isNamed: boolean): string[] {
  const { load } = row;
  const names = [row.node, isNamed ? row.name : ""];
  if (load === null) return names;
  const { perSecond, latencyMs } = load;
  return [
    ...names,
    countText(perSecond.reads),
    countText(perSecond.writes),
    sizeText(perSecond.readBytes),
    sizeText(perSecond.writtenBytes),
    ...[latencyMs.readMean, latencyMs.readP99, latencyMs.writeMean, latencyMs.writeP99]
      .map(latencyText),
    String(load.inFlight),
    errorsText(load.errorsByKind) || String(load.totals.errors),
  ];
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
