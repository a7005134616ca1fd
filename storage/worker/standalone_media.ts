import { DvsanError } from "../../protocol/core/errors.ts";
import { MEDIUM_BUSY_RETRY_MS, MEDIUM_LEFT_MS_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { CounterRow } from "../counters/row.ts";
import type { CounterTable } from "../counters/table.ts";
import { FileDevice } from "../devices/file.ts";
import type { Io } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import type { ExportSpec } from "./messages.ts";

export interface StandaloneMediaOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly log: Log;
  readonly counters: CounterTable;
}

interface OpenMedium {
  readonly device: FileDevice;
  readonly spec: ExportSpec;
  readonly counters: CounterRow;
}

/** Files and devices that are exported as they are, without labels. */
export class StandaloneMedia {
  readonly #by: StandaloneMediaOptions;
  readonly #open: OpenMedium[] = [];

  constructor(by: StandaloneMediaOptions) {
    this.#by = by;
  }

  /** Rejects with DvsanError "not-found", "busy", "denied" or "io". */
  async open(spec: ExportSpec): Promise<FileDevice> {
    const { path } = spec;
    const { io, counters: table } = this.#by;
    const device = await this.#opened(spec);
    const counters = table.add({ kind: "medium", name: path, nowMs: io.nowMs() });
    device.state.countInto(counters);
    this.#open.push({ device, spec, counters });
    return device;
  }

  /** Waits a while for what a process before this one has not let go of yet. */
  async #opened({ path, readOnly }: ExportSpec): Promise<FileDevice> {
    const { io, promises } = this.#by;
    let isLast = this.#open.some(({ spec }) => spec.path === path);
    const giveUpMs = io.nowMs() + MEDIUM_LEFT_MS_MAX;
    for (;;) {
      try {
        return new FileDevice({ io, path, readOnly });
      } catch (error) {
        const isBusy = error instanceof DvsanError && error.code === "busy";
        if (!isBusy || isLast) throw error;
      }
      // Once more when the time is over: this process may have stood still for all of it.
      isLast = io.nowMs() >= giveUpMs;
      await promises.timer(MEDIUM_BUSY_RETRY_MS);
    }
  }

  /** Gives one back that nobody uses. */
  discard(device: FileDevice): void {
    const at = this.#open.findIndex((one) => one.device === device);
    for (const { counters } of at < 0 ? [] : this.#open.splice(at, 1)) {
      this.#by.counters.remove(counters);
    }
    device.close();
  }

  /** Makes what was written durable and closes all. No request may be under way. */
  async close(): Promise<void> {
    const failed: string[] = [];
    for (const { device, spec } of this.#open.splice(0)) {
      if (!spec.readOnly) {
        const sync = this.#by.promises.submit((operation) => device.flush(operation));
        const result = await sync.result;
        if (result < 0) failed.push(`${spec.path} (errno ${-result})`);
      }
      device.close();
    }
    if (failed.length === 0) return;
    throw new DvsanError("io", `Cannot make durable what was written to ${failed.join(", ")}.`);
  }
}
