import { assert, defined } from "../../protocol/core/assert.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { CounterRow } from "../counters/row.ts";
import type { CounterTable } from "../counters/table.ts";
import type { Device } from "../devices/device.ts";
import { ExtentsDevice } from "../devices/extents.ts";
import type { Io } from "../io/io.ts";
import { IoMediumFile } from "../media/io_medium_file.ts";
import type { ServedVolume } from "../media/store_types.ts";
import type { UnitStore } from "../media/unit_store.ts";

/**
 * A unit's media as the data path uses them: the descriptors that the storage engine opened, with
 * what is known of their failures. A medium has one state for all its devices.
 */
export class UnitMedia {
  readonly #io: Io;
  readonly #store: UnitStore;
  readonly #log: Log;
  #isStopped = false;
  readonly #table: CounterTable;
  readonly #counted = new Map<string, { readonly file: IoMediumFile; readonly row: CounterRow }>();

  constructor(
    store: UnitStore,
    by: { readonly io: Io; readonly counters: CounterTable; readonly log: Log },
  ) {
    this.#io = by.io;
    this.#table = by.counters;
    this.#log = by.log;
    this.#store = store;
    for (const id of store.mediumIds()) {
      const file = store.mediumFile(id);
      if (file instanceof IoMediumFile) this.#count(id, file);
    }
  }

  /** A device over the volume as it is now; it keeps its size when the volume grows. */
  device(volume: ServedVolume): Device {
    let minimumBlockBytes = 1;
    const extents = volume.extents.map(({ mediumId, start, length }) => {
      const file = this.#file(mediumId);
      minimumBlockBytes = Math.max(minimumBlockBytes, file.minimumBlockBytes);
      return { handle: file.handle, state: file.state, start, length };
    });
    const options = { io: this.#io, readOnly: false, extents, minimumBlockBytes };
    const device = new ExtentsDevice(options);
    assert(device.traits.sizeBytes === volume.sizeBytes, "a volume's extents are its size");
    return device;
  }

  /** Changes when the medium's device was out and is back; null when nobody can tell. */
  incarnation(mediumId: string): string | null {
    const file = this.#store.mediumFile(mediumId);
    return file instanceof IoMediumFile ? file.incarnation : null;
  }

  /** They are about to be closed: a heartbeat that asks meanwhile has nothing to look at. */
  stop(): void {
    this.#isStopped = true;
  }

  /** They are not closed after all. */
  resume(): void {
    this.#isStopped = false;
  }

  /** Makes what hosts wrote durable. A medium that cannot be synced is logged, and poisoned. */
  async sync(): Promise<void> {
    for (const { id, path, state } of this.#store.storageInfo().media) {
      if (state !== "ok") continue;
      try {
        await this.#store.mediumFile(id)?.sync();
      } catch (error) {
        this.#store.mediumFailed(id, "sync");
        this.#log.error("medium not synced", { path, reason: messageOf(error) });
      }
    }
  }

  /**
   * Looks whether the media still have their size, and what is at their end. A file that was
   * truncated grows again with the next write, and reads as zeroes in between.
   */
  check(): void {
    if (this.#isStopped) return;
    for (const id of this.#store.mediumIds()) {
      const file = this.#store.mediumFile(id);
      if (!(file instanceof IoMediumFile)) continue;
      const reason = this.#shrunk(file);
      if (reason === null) {
        this.#store.lookAt(id);
        continue;
      }
      file.state.poison();
      this.#store.mediumBroken(id, reason);
    }
  }

  #shrunk(file: IoMediumFile): string | null {
    try {
      const { sizeBytes } = this.#io.geometry(file.handle);
      if (sizeBytes >= file.sizeBytes) return null;
      if (sizeBytes === 0) return "its device is gone, or was cut to nothing";
      return `it has shrunk from ${file.sizeBytes} to ${sizeBytes} bytes while it was in use`;
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      return messageOf(error);
    }
  }

  /** A medium that was opened anew goes on in the row that it had. */
  #count(id: string, file: IoMediumFile): void {
    const before = this.#counted.get(id);
    if (before?.file === file) return;
    const name = `${id} ${file.path}`;
    const row = before?.row ?? this.#table.add({ kind: "medium", name, nowMs: this.#io.nowMs() });
    this.#counted.set(id, { file, row });
    file.state.countInto(row);
  }

  #file(mediumId: string): IoMediumFile {
    const file = defined(this.#store.mediumFile(mediumId), "a served volume's media are open");
    assert(file instanceof IoMediumFile, "media were opened through the seam");
    this.#count(mediumId, file);
    file.state.onFailed = ({ during }) => {
      const kind = during === "sync" || during === "read" ? during : "write";
      this.#store.mediumFailed(mediumId, kind);
    };
    return file;
  }
}
