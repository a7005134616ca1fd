import { assert } from "../../protocol/core/assert.ts";

/**
 * What TLS workers count, each in a row of numbers that it shares with the control thread: it is
 * the row's only writer, and nobody takes a lock.
 */

/** Why a handshake did not come to its end. */
export const TLS_FAILURES = [
  /** It took too long. */
  "timeout",
  /** The peer left within it; in TLS 1.3 also who does not like our certificate. */
  "peer_left",
  /** The peer spoke no TLS, or none that is accepted; also a certificate the library refuses. */
  "protocol",
  /** The peer's certificate is not the one that is wanted. */
  "certificate",
  /** We gave it up: the data worker has closed its end, or the process stops. */
  "given_up",
  /** We have no certificate yet, or none that can be used. */
  "no_credentials",
  /** Too many connections are open. */
  "too_many",
] as const;
export type TlsFailure = (typeof TLS_FAILURES)[number];

export const TLS_SIDES = ["server", "client"] as const;
export type TlsSideName = (typeof TLS_SIDES)[number];

/** Open connections, then for each side: handshakes that succeeded, and failures by kind. */
const SIDE_CELLS = 1 + TLS_FAILURES.length;
const CELLS = 1 + TLS_SIDES.length * SIDE_CELLS;

export function newTlsCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(CELLS * 8);
}

/** A worker's end of its row. */
export class TlsCounters {
  readonly #cells: Float64Array;

  /** Memory of its own when none is given, for tests. */
  constructor(buffer: SharedArrayBuffer = newTlsCounters()) {
    this.#cells = new Float64Array(buffer);
    assert(this.#cells.length === CELLS, "a row of TLS counters");
  }

  connections(count: number): void {
    this.#cells[0] = count;
  }

  succeeded(side: TlsSideName): void {
    this.#cells[cellOf(side)]!++;
  }

  failed(side: TlsSideName, why: TlsFailure): void {
    this.#cells[cellOf(side) + 1 + TLS_FAILURES.indexOf(why)]!++;
  }
}

/** The sums of all workers of a process. */
export interface TlsFigures {
  readonly workers: number;
  readonly connections: number;
  readonly succeeded: Readonly<Record<TlsSideName, number>>;
  readonly failed: Readonly<Record<TlsSideName, Readonly<Record<TlsFailure, number>>>>;
}

export function tlsFigures(buffers: readonly SharedArrayBuffer[]): TlsFigures {
  const rows = buffers.map((buffer) => new Float64Array(buffer));
  const sum = (cell: number) => rows.reduce((total, row) => total + row[cell]!, 0);
  const failures = (side: TlsSideName) =>
    Object.fromEntries(
      TLS_FAILURES.map((why, at) => [why, sum(cellOf(side) + 1 + at)]),
    ) as Record<TlsFailure, number>;
  return {
    workers: rows.length,
    connections: sum(0),
    succeeded: { server: sum(cellOf("server")), client: sum(cellOf("client")) },
    failed: { server: failures("server"), client: failures("client") },
  };
}

function cellOf(side: TlsSideName): number {
  return 1 + TLS_SIDES.indexOf(side) * SIDE_CELLS;
}
