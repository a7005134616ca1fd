import { defined } from "../../protocol/core/assert.ts";
import type { HeldDevice } from "../devices/held.ts";
import type { GrantTable } from "../grants/grant_table.ts";
import { Operation } from "../io/operation.ts";
import type { DirectMarks } from "./direct_marks.ts";
import type { ExportEntry } from "./server_types.ts";

/**
 * Connections by a token: each is told of a loss that happened since the last one, and what each
 * has written is made durable when it ends, so that there is nothing left to lose.
 */
export class DirectUse {
  readonly #marks: DirectMarks;
  readonly #table: GrantTable;
  /** How often each volume was opened. */
  readonly #opened = new Map<string, number>();

  constructor(marks: DirectMarks, table: GrantTable) {
    this.#marks = marks;
    this.#table = table;
  }

  /** The same entry, which knows of its connection's end. */
  entry(entry: ExportEntry, of: { readonly volumeId: string; readonly held: HeldDevice }) {
    const closed: ExportEntry["closed"] = (connection, how) => {
      entry.closed(connection, how);
      this.#end(of.volumeId, of.held);
    };
    return { ...entry, closed };
  }

  /** Nothing of the connection before is under way, and `held` is about to be released. */
  begin(volumeId: string, held: HeldDevice): void {
    this.#opened.set(volumeId, this.#opensOf(volumeId) + 1);
    const state = defined(this.#table.state(volumeId), "a volume that is used is in the table");
    const { generation } = state.terms;
    if (!this.#marks.opened(volumeId, generation)) return;
    held.failNextFlush(() => this.#marks.told(volumeId, generation));
  }

  /** The connection is over, and nothing of it is under way. */
  #end(volumeId: string, held: HeldDevice): void {
    // Everything is synced before the media are closed.
    if (this.#table.draining) return;
    const opens = this.#opensOf(volumeId);
    const isUnused = () =>
      this.#table.connections(volumeId).length === 0 && this.#opensOf(volumeId) === opens;
    if (!isUnused()) return;
    held.sync(
      new Operation(({ result }) => {
        if (result >= 0 && isUnused()) this.#marks.settled(volumeId);
      }),
    );
  }

  #opensOf(volumeId: string): number {
    return this.#opened.get(volumeId) ?? 0;
  }
}

/** Without the prefix by which IPv6 sockets show IPv4 peers (RFC 4291 §2.5.5.2). */
export function plainAddress(address: string): string {
  return address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
}
