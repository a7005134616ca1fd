import type { Meter, MeterKind } from "../../protocol/config/meters.ts";
import {
  CELL,
  ERROR_KINDS,
  LATENCY_BOUNDS_MS,
  LATENCY_BUCKETS,
  LATENCY_CLASSES,
  latencyCell,
  TYPE,
} from "./layout.ts";
import {
  answeredOf,
  inFlightOf,
  latencyCountOf,
  partsOf,
  queuedOf,
  type ReadRow,
  rowsWithParts,
  sumOf,
} from "./reader.ts";

const OTHER_CLASSES = LATENCY_CLASSES.length;

/** Things of a node as the station is told of them, each with its counts. */
export interface Metered {
  readonly kind: MeterKind;
  readonly id: string;
  readonly connections: number;
  readonly cells: Float64Array;
}

/** The volumes, media, disks and legs of a node. */
export function meteredOf(rows: readonly ReadRow[]): Metered[] {
  const found: Metered[] = [];
  for (const kind of ["volume", "medium", "disk", "leg"] as const) {
    for (const row of rowsWithParts(rows, kind)) {
      const [first = "", second = ""] = row.name.split(" ");
      const id = kind === "leg" ? `${first}/${second}` : first;
      // A medium without a UUID is a stand-alone export's, of which no station knows.
      if (!/^[0-9a-f-]{36}(\/[0-9]+)?$/.test(id)) continue;
      const connections = partsOf(rows, row.serial, "connection");
      found.push({ kind, id, connections, cells: row.cells });
    }
  }
  return found;
}

/** The open connections of a node's volumes and disks. */
export function meteredConnections(rows: readonly ReadRow[]): Metered[] {
  const found: Metered[] = [];
  const owners = new Map<number, string>();
  for (const { kind, serial, name } of rows) {
    if (kind === "volume" || kind === "disk") owners.set(serial, name.split(" ")[0] ?? "");
  }
  for (const row of rows) {
    const owner = row.kind === "connection" ? owners.get(row.parent) : undefined;
    if (owner === undefined) continue;
    const [, address = "", port] = row.name.split(" ");
    const isV6 = address.includes(":");
    const peer = port === undefined ? address : `${isV6 ? `[${address}]` : address}:${port}`;
    const id = `${owner}/${row.serial}/${peer}`;
    found.push({ kind: "connection", id, connections: 1, cells: row.cells });
  }
  return found;
}

/** What the station is told of it; `before`: its counts when it was told last. */
export function meterOf(metered: Metered, before: Float64Array | null): Meter {
  const { kind, id, connections, cells } = metered;
  const [reads, writes] = [latencyCountOf(cells, 0), latencyCountOf(cells, 1)];
  let others = 0;
  for (let at = 2; at < OTHER_CLASSES; at++) others += latencyCountOf(cells, at);
  return [
    kind,
    id,
    connections,
    inFlightOf(cells),
    queuedOf(cells),
    reads,
    writes,
    others,
    cells[CELL.bytes + TYPE.read]!,
    cells[CELL.bytes + TYPE.write]!,
    sumOf(cells, CELL.errors, ERROR_KINDS.length),
    Math.round(cells[latencyCell(0) + LATENCY_BUCKETS]! * 1000),
    Math.round(cells[latencyCell(1) + LATENCY_BUCKETS]! * 1000),
    Math.round(quantileMs({ cells, before, latencyClass: 0 }, 0.99) * 1000),
    Math.round(quantileMs({ cells, before, latencyClass: 1 }, 0.99) * 1000),
  ];
}

/** Whether the station would see a difference. */
export function hasChanged(now: Metered, before: Metered): boolean {
  return now.connections !== before.connections ||
    answeredOf(now.cells) !== answeredOf(before.cells) ||
    inFlightOf(now.cells) !== inFlightOf(before.cells) ||
    queuedOf(now.cells) !== queuedOf(before.cells);
}

/**
 * The bound of the bucket in which this share of the answers since `before` ended, so at most twice
 * what it was; 0 when there were none.
 */
export function quantileMs(
  of: { cells: Float64Array; before: Float64Array | null; latencyClass: number },
  share: number,
): number {
  const from = latencyCell(of.latencyClass);
  const counts = Array.from(
    { length: LATENCY_BUCKETS },
    (_, i) => of.cells[from + i]! - (of.before?.[from + i] ?? 0),
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return 0;
  let seen = 0;
  const bucket = counts.findIndex((count) => (seen += count) >= total * share);
  return LATENCY_BOUNDS_MS[Math.min(bucket, LATENCY_BOUNDS_MS.length - 1)]!;
}
