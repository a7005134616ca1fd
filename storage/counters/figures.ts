import type { NodeFigures } from "../../protocol/config/bodies.ts";
import { runOf } from "../../protocol/config/count_run.ts";
import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import { CELL, REQUEST_TYPES, SERVER_CELL, TYPE } from "./layout.ts";
import { inFlightOf, queuedOf, type ReadRow, rowsWithParts, sumOf } from "./reader.ts";

/** Everything that a node served, together: the requests of its exports, volumes and disks. */
export function nodeFigures(rows: readonly ReadRow[], uptimeMs: number): NodeFigures {
  const total = {
    uptimeMs: Math.max(0, Math.round(uptimeMs)),
    connections: 0,
    inFlight: 0,
    queued: 0,
    readBytes: 0,
    writtenBytes: 0,
    reads: 0,
    writes: 0,
    others: 0,
  };
  const errors = new Float64Array(ERROR_KINDS.length);
  for (const { kind, cells } of rows) {
    if (kind === "server" || kind === "disk") total.connections += cells[SERVER_CELL.connections]!;
  }
  for (const kind of ["export", "volume", "disk", "others"] as const) {
    for (const { cells } of rowsWithParts(rows, kind)) {
      const requests = sumOf(cells, CELL.requests, REQUEST_TYPES.length);
      const reads = cells[CELL.requests + TYPE.read]!;
      const writes = cells[CELL.requests + TYPE.write]!;
      total.inFlight += inFlightOf(cells);
      total.queued += queuedOf(cells);
      total.readBytes += cells[CELL.bytes + TYPE.read]!;
      total.writtenBytes += cells[CELL.bytes + TYPE.write]!;
      total.reads += reads;
      total.writes += writes;
      total.others += requests - reads - writes;
      for (let at = 0; at < errors.length; at++) errors[at]! += cells[CELL.errors + at]!;
    }
  }
  return { ...total, errors: runOf(errors) };
}
