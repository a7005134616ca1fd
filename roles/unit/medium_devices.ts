import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { KnownDevice } from "../../storage/media/store_types.ts";
import type { StateFiles } from "../process/context.ts";
import { MEDIUM_DEVICES_FILE } from "../process/settings.ts";

const Stored = z.record(
  z.uuid(),
  z.strictObject({ path: z.string(), identity: z.string().nullable() }),
);

/**
 * On which device this unit served each medium last, so that a copy is not taken for it when the
 * original cannot be read: their labels are the same. A damaged file is forgotten: only this one
 * check is not to be had.
 */
export class MediumDevices {
  readonly #files: StateFiles;
  #known: Readonly<Record<string, KnownDevice>>;

  constructor(files: StateFiles, log: Log) {
    this.#files = files;
    this.#known = read(files, log);
  }

  get known(): Readonly<Record<string, KnownDevice>> {
    return this.#known;
  }

  /** Durable when it returns. Media that are away stay. */
  keep(devices: Readonly<Record<string, KnownDevice>>): void {
    const known = { ...this.#known, ...devices };
    const text = JSON.stringify(known, null, 2) + "\n";
    if (text === JSON.stringify(this.#known, null, 2) + "\n") return;
    this.#files.write(MEDIUM_DEVICES_FILE, utf8(text));
    this.#known = known;
  }
}

function read(files: StateFiles, log: Log): Record<string, KnownDevice> {
  const bytes = files.read(MEDIUM_DEVICES_FILE);
  if (bytes === null) return {};
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    log.warn("the devices of the media are damaged and forgotten", {
      file: files.path(MEDIUM_DEVICES_FILE),
    });
    return {};
  }
}
