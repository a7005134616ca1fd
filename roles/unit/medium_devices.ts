import { z } from "zod";
import type { Log } from "../../protocol/core/log.ts";
import type { KnownDevice } from "../../storage/media/store_types.ts";
import type { StateFiles } from "../process/context.ts";
import { MEDIUM_DEVICES_FILE } from "../process/settings.ts";
import { KeptRecord } from "./kept_record.ts";

/**
 * On which device this unit served each medium last, so that a copy is not taken for it when the
 * original cannot be read: their labels are the same. A damaged file is forgotten: only this one
 * check is not to be had.
 */
export class MediumDevices {
  readonly #kept: KeptRecord<KnownDevice>;

  constructor(files: StateFiles, log: Log) {
    this.#kept = new KeptRecord({
      files,
      log,
      file: MEDIUM_DEVICES_FILE,
      schema: z.strictObject({ path: z.string(), identity: z.string().nullable() }),
      damaged: "the devices of the media are damaged and forgotten",
    });
  }

  get known(): Readonly<Record<string, KnownDevice>> {
    return this.#kept.known;
  }

  /** Durable when it returns. Media that are away stay. */
  keep(devices: Readonly<Record<string, KnownDevice>>): void {
    this.#kept.replace({ ...this.known, ...devices });
  }
}
