import { SERVER_CELL } from "../counters/layout.ts";
import { CounterRow } from "../counters/row.ts";
import { CounterTable } from "../counters/table.ts";
import type { SocketAddress } from "../io/io.ts";

/**
 * What a server counts of its connections, in a row of its owner's; each connection that reaches
 * transmission gets a row for its requests. The server decides by the plain numbers here: a row may
 * be shared when there are too many.
 */
export class ServerCounters {
  readonly #table: CounterTable;
  readonly #row: CounterRow;
  /** Open now. */
  connections = 0;
  /** Of those, the ones that have not reached transmission. */
  negotiating = 0;
  /** Ended because a cap was reached. */
  turnedAway = 0;
  /** Times that a request had to wait for a buffer. */
  bufferWaits = 0;

  /** Read by nobody when it is not told where to count. */
  constructor(
    { table, row }: { readonly table: CounterTable; readonly row: CounterRow } = {
      table: new CounterTable(),
      row: CounterRow.unread(),
    },
  ) {
    this.#table = table;
    this.#row = row;
  }

  /** The number of the connection that came. */
  opened(): number {
    this.connections++;
    this.#row.add(SERVER_CELL.accepted, 1);
    this.#row.add(SERVER_CELL.connections, 1);
    return this.#table.nextConnection();
  }

  closed(): void {
    this.connections--;
    this.#row.add(SERVER_CELL.connections, -1);
  }

  negotiationBegan(): void {
    this.negotiating++;
    this.#row.add(SERVER_CELL.negotiating, 1);
  }

  negotiationEnded(): void {
    this.negotiating--;
    this.#row.add(SERVER_CELL.negotiating, -1);
  }

  turnAway(): void {
    this.turnedAway++;
    this.#row.add(SERVER_CELL.turnedAway, 1);
  }

  waited(): void {
    this.bufferWaits++;
    this.#row.add(SERVER_CELL.bufferWaits, 1);
  }

  /** A row for the requests of a connection to the export whose row is `parent`. */
  addConnection(
    connection: { readonly id: number; readonly peer: SocketAddress | null },
    parent: CounterRow,
    nowMs: number,
  ): CounterRow {
    const { id, peer } = connection;
    const from = peer === null ? "unix" : `${peer.address} ${peer.port}`;
    return this.#table.add({ kind: "connection", name: `${id} ${from}`, parent, nowMs });
  }

  /** It is over: its counts go to its export. */
  removeConnection(row: CounterRow): void {
    this.#table.remove(row);
  }
}
