import { DvsanError } from "../../protocol/core/errors.ts";
import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import { decodeName } from "../../protocol/nbd/option_data.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { CounterRow } from "../counters/row.ts";
import type { Device } from "../devices/device.ts";
import type {
  ConnectionEnd,
  ExportEntry,
  ExportGate,
  ExportRefusal,
  GateConnection,
  OptionAnswer,
  PrivateOption,
} from "./server_types.ts";

interface StandaloneEntry extends ExportEntry {
  /** Ids of those that have opened it. */
  readonly connections: Set<number>;
}

/**
 * Exports that stand for themselves: a name and a device, open to everybody who can connect. The
 * name "" is the first that was added.
 */
export class StandaloneExports implements ExportGate {
  readonly #entries = new Map<string, StandaloneEntry>();
  readonly #connectionsMax: number;

  /** `connectionsMax`: of one export; as many as the server has when not given. */
  constructor(options: { readonly connectionsMax?: number } = {}) {
    this.#connectionsMax = options.connectionsMax ?? Infinity;
  }

  /**
   * `counters`: where its requests are counted; nowhere when not given. Throws "invalid" for a
   * name that NBD cannot carry, "exists" for one that is taken.
   */
  add(name: string, device: Device, options: { readonly counters?: CounterRow } = {}): void {
    const decoded = decodeName(utf8(name));
    if (typeof decoded === "string") {
      throw new DvsanError("invalid", `Cannot export "${name}": ${decoded}. Choose another name.`);
    }
    if (this.#entries.has(name)) {
      throw new DvsanError(
        "exists",
        `Cannot export "${name}": there is an export of that name. Choose another name.`,
      );
    }
    const counters = options.counters ?? CounterRow.unread();
    const connections = new Set<number>();
    this.#entries.set(name, {
      name,
      device,
      counters,
      connections,
      opened: ({ id }) => connections.add(id),
      closed: ({ id }) => connections.delete(id),
    });
  }

  list(): readonly string[] {
    return [...this.#entries.keys()];
  }

  find(_connection: GateConnection, name: string): ExportEntry | ExportRefusal {
    const entry = this.#entries.get(name) ?? (name === "" ? this.#first() : undefined);
    if (entry !== undefined && entry.connections.size < this.#connectionsMax) return entry;
    if (entry !== undefined) {
      const text = `"${name}" has ${entry.connections.size} connections already; close one first`;
      return { refused: REPLY_ERROR.policy, text };
    }
    return { refused: REPLY_ERROR.unknown, text: `there is no export "${name}"` };
  }

  privateOption(
    _connection: GateConnection,
    request: PrivateOption,
    answer: (answer: OptionAnswer) => void,
  ): void {
    const text = `option ${request.option} is not supported here`;
    answer({ kind: "refused", type: REPLY_ERROR.unsupported, text });
  }

  ended(_connection: GateConnection, _how: ConnectionEnd): void {}

  #first(): StandaloneEntry | undefined {
    return this.#entries.values().next().value;
  }
}
