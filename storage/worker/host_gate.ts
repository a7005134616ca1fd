import { REPLY_ERROR } from "../../protocol/nbd/constants.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Device } from "../devices/device.ts";
import type { Asker } from "../io/operation.ts";
import type {
  ConnectionEnd,
  ExportEntry,
  ExportGate,
  ExportRefusal,
  GateConnection,
  OptionAnswer,
  PrivateOption,
} from "../nbd/server_types.ts";

/**
 * The exports of a disk's Unix socket: the disk, by its name and as the default. Each connection
 * gets the device of the moment when it opened, so a size that it saw never changes.
 */
export class DiskGate implements ExportGate {
  /** Called when a connection came or went. */
  changed: () => void = () => {};
  /** Who has the disk open. */
  readonly askers = new Set<Asker>();
  readonly #name: string;
  readonly #device: () => Device;
  readonly #counters: CounterRow;

  constructor(name: string, of: { device: () => Device; counters: CounterRow }) {
    this.#name = name;
    this.#device = of.device;
    this.#counters = of.counters;
  }

  list(): readonly string[] {
    return [this.#name];
  }

  find(_connection: GateConnection, name: string): ExportEntry | ExportRefusal {
    if (name !== "" && name !== this.#name) {
      return { refused: REPLY_ERROR.unknown, text: `this socket serves "${this.#name}" only` };
    }
    const changed = () => this.changed();
    return {
      name: this.#name,
      device: this.#device(),
      counters: this.#counters,
      askers: this.askers,
      opened: changed,
      closed: changed,
    };
  }

  privateOption(
    _connection: GateConnection,
    request: PrivateOption,
    answer: (answer: OptionAnswer) => void,
  ): void {
    const text = `option ${request.option} is not supported here`;
    answer({ kind: "refused", type: REPLY_ERROR.unsupported, text });
  }

  ended(_connection: GateConnection, _how: ConnectionEnd): void {
    this.changed();
  }
}
