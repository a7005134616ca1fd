import { LATENCY_BUCKETS, LATENCY_CLASSES } from "../../protocol/core/counted.ts";
import { COUNTER_NAME_BYTES, COUNTER_ROWS } from "../../protocol/core/limits.ts";

/**
 * Where each counter stands in the memory that the data worker shares with its control thread: a
 * head, then rows of COUNTER_CELLS numbers (Float64), then a name for each row. README.md tells who
 * may do what.
 */

/** What a row counts. Free rows are 0. */
export const ROW_KINDS = [
  "free",
  /** One NBD server, and in a host one for each disk is the disk's own row. */
  "server",
  /** A stand-alone export; its name is the export's. */
  "export",
  /** A granted volume; its name is the volume's UUID. */
  "volume",
  /** A client's connection in transmission; its name is "NUMBER PEER", the log's number. */
  "connection",
  /** A medium; its name is its UUID and path, or the path of a stand-alone export. */
  "medium",
  /** A host's disk; its name is the disk's UUID and name. */
  "disk",
  /** A disk's leg; its name is "DISK-UUID LEG UNIT-NAME". */
  "leg",
  /** Who found no row of its own free. */
  "others",
] as const;
export type RowKind = (typeof ROW_KINDS)[number];

/** Kinds of requests, by the word that metrics use; the index is the cell's. */
export const REQUEST_TYPES = [
  "read",
  "write",
  "flush",
  "discard",
  "zero",
  "cache",
  "status",
  "other",
] as const;
export type RequestType = (typeof REQUEST_TYPES)[number];
export const TYPE = {
  read: 0,
  write: 1,
  flush: 2,
  discard: 3,
  zero: 4,
  cache: 5,
  status: 6,
  other: 7,
} as const satisfies Record<RequestType, number>;

/** A class's buckets, then the sum of its latencies in milliseconds. */
const LATENCY_CELLS = LATENCY_BUCKETS + 1;

/** Cells of a row. All but the first four are sums, or gauges that are raised and lowered. */
export const CELL = {
  kind: 0,
  /** Rises with every row that is made: a row that is used anew is never taken for its last. */
  serial: 1,
  /** Serial of the row that it is a part of, or 0. */
  parent: 2,
  /** When it was made, by the Io's clock, in milliseconds. */
  sinceMs: 3,
  requests: 4,
  bytes: 12,
  errors: 20,
  /** Requests that were begun and whose connection went before their answer. */
  dropped: 29,
  /** Requests that a device has now. */
  submitted: 30,
  /** Five cells with a meaning for each kind: SERVER_CELL, LEG_CELL, MEDIUM_CELL. */
  own: 31,
  latency: 36,
} as const;

/** Of a "server" and of a "disk". */
export const SERVER_CELL = {
  connections: 31,
  negotiating: 32,
  accepted: 33,
  turnedAway: 34,
  bufferWaits: 35,
} as const;

export const LEG_CELL = {
  /** 1 while requests run. */
  ready: 31,
  /** Times that it was attached. */
  attached: 32,
  /** Bytes and changes kept for a replay, until the next flush. */
  keptBytes: 33,
  keptChanges: 34,
  replayed: 35,
} as const;

export const MEDIUM_CELL = {
  /** 1 once a sync failed. */
  poisoned: 31,
  /** Flushes that wait for the next sync. */
  waiting: 32,
} as const;

/** Numbers of a row: one KiB. */
export const COUNTER_CELLS = CELL.latency + LATENCY_CLASSES.length * LATENCY_CELLS;

/** First cell of a class's buckets. */
export function latencyCell(latencyClass: number): number {
  return CELL.latency + latencyClass * LATENCY_CELLS;
}

/** The class of a type of request. */
export function latencyClassOf(type: number): number {
  return type < 3 ? type : 3;
}

/** Words (Int32) of the head. */
export const HEAD = {
  /** Odd while rows are made, folded or freed. */
  version: 0,
  /** Rows from here on were never used. */
  top: 1,
  /** Times that somebody found no free row. */
  crowded: 2,
} as const;

const HEAD_BYTES = 64;

/** The shared memory in its three parts. */
export interface CounterMemory {
  readonly head: Int32Array;
  readonly cells: Float64Array;
  readonly names: Uint8Array;
  readonly rows: number;
}

export function counterBytes(rows: number = COUNTER_ROWS): number {
  return HEAD_BYTES + rows * (COUNTER_CELLS * 8 + COUNTER_NAME_BYTES);
}

/** Memory for `rows` rows. Untouched pages of it cost nothing. */
export function newCounterMemory(rows: number = COUNTER_ROWS): SharedArrayBuffer {
  return new SharedArrayBuffer(counterBytes(rows));
}

export function mapCounters(buffer: SharedArrayBuffer): CounterMemory {
  const rows = Math.floor((buffer.byteLength - HEAD_BYTES) / (counterBytes(1) - HEAD_BYTES));
  const cellsBytes = rows * COUNTER_CELLS * 8;
  return {
    head: new Int32Array(buffer, 0, HEAD_BYTES / 4),
    cells: new Float64Array(buffer, HEAD_BYTES, rows * COUNTER_CELLS),
    names: new Uint8Array(buffer, HEAD_BYTES + cellsBytes, rows * COUNTER_NAME_BYTES),
    rows,
  };
}
