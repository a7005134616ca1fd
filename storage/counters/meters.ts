import { runOf } from "../../protocol/config/count_run.ts";
import type { Meter, MeterKind } from "../../protocol/config/meters.ts";
import { ERROR_KINDS, LATENCY_BUCKETS } from "../../protocol/core/counted.ts";
import { CELL, latencyCell, TYPE } from "./layout.ts";
import {
  answeredOf,
  inFlightOf,
  partsOf,
  queuedOf,
  type ReadRow,
  rowsWithParts,
} from "./reader.ts";

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
    const [number = "", address = "", port] = row.name.split(" ");
    const isV6 = address.includes(":");
    const peer = port === undefined ? address : `${isV6 ? `[${address}]` : address}:${port}`;
    const id = `${owner}/${number}/${peer}`;
    found.push({ kind: "connection", id, connections: 1, cells: row.cells });
  }
  return found;
}

/** What the station is told of it. */
export function meterOf({ kind, id, connections, cells }: Metered): Meter {
  const micros = (latencyClass: number) =>
    Math.round(cells[latencyCell(latencyClass) + LATENCY_BUCKETS]! * 1000);
  const run = (from: number, count: number) => runOf(cells.subarray(from, from + count));
  return [
    kind,
    id,
    connections,
    inFlightOf(cells),
    queuedOf(cells),
    cells[CELL.bytes + TYPE.read]!,
    cells[CELL.bytes + TYPE.write]!,
    micros(0),
    micros(1),
    micros(2),
    micros(3),
    run(CELL.errors, ERROR_KINDS.length),
    run(latencyCell(0), LATENCY_BUCKETS),
    run(latencyCell(1), LATENCY_BUCKETS),
    run(latencyCell(2), LATENCY_BUCKETS),
    run(latencyCell(3), LATENCY_BUCKETS),
  ];
}

/** Bytes that a meter takes in a packet, where numbers take what they need (CBOR). */
export function meterBytes(meter: Meter): number {
  let bytes = 1;
  for (const part of meter) {
    if (typeof part === "string") bytes += 2 + part.length;
    else if (typeof part === "number") bytes += numberBytes(part);
    else for (const number of [part.length, ...part]) bytes += numberBytes(number);
  }
  return bytes;
}

function numberBytes(number: number): number {
  if (number < 24) return 1;
  if (number < 2 ** 8) return 2;
  if (number < 2 ** 16) return 3;
  return number < 2 ** 32 ? 5 : 9;
}

/** Whether the station would see a difference. */
export function hasChanged(now: Metered, before: Metered): boolean {
  return now.connections !== before.connections ||
    answeredOf(now.cells) !== answeredOf(before.cells) ||
    inFlightOf(now.cells) !== inFlightOf(before.cells) ||
    queuedOf(now.cells) !== queuedOf(before.cells);
}
