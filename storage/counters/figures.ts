import type { NodeFigures } from "../../protocol/config/bodies.ts";
import { ERROR_KINDS } from "../../protocol/core/counted.ts";
import { CELL, SERVER_CELL, TYPE } from "./layout.ts";
import { type ReadRow, rowsWithParts, sumOf } from "./reader.ts";

/** Everything that a node served, together: the requests of its exports, volumes and disks. */
export function nodeFigures(rows: readonly ReadRow[], uptimeMs: number): NodeFigures {
  const total = {
    uptimeMs: Math.max(0, Math.round(uptimeMs)),
    connections: 0,
    readBytes: 0,
    writtenBytes: 0,
    reads: 0,
    writes: 0,
    errors: 0,
  };
  for (const { kind, cells } of rows) {
    if (kind === "server" || kind === "disk") total.connections += cells[SERVER_CELL.connections]!;
  }
  for (const kind of ["export", "volume", "disk", "others"] as const) {
    for (const { cells } of rowsWithParts(rows, kind)) {
      total.readBytes += cells[CELL.bytes + TYPE.read]!;
      total.writtenBytes += cells[CELL.bytes + TYPE.write]!;
      total.reads += cells[CELL.requests + TYPE.read]!;
      total.writes += cells[CELL.requests + TYPE.write]!;
      total.errors += sumOf(cells, CELL.errors, ERROR_KINDS.length);
    }
  }
  return total;
}
