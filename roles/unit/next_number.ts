import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import { VOLUME_NUMBER_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "../process/context.ts";
import { NEXT_NUMBER_FILE } from "../process/settings.ts";

const Stored = z.object({ nextNumber: z.number().int().min(1).max(VOLUME_NUMBER_MAX) });

/**
 * The number of the unit's next new volume. Labels tell it too, but media are wiped, taken away and
 * put back, and a number is never used again: the greater of the two counts. A record that is
 * damaged or gone stops nothing, for labels are still whole; that is told.
 */
export class NextNumber {
  readonly #files: StateFiles;
  /** What the record says; null while there is none that can be read. */
  #kept: number | null;

  /** `isNew`: the unit has never had media, so that there can be no record yet. */
  constructor(files: StateFiles, { log, isNew }: { readonly log: Log; readonly isNew: boolean }) {
    this.#files = files;
    const found = read(files);
    this.#kept = typeof found === "number" ? found : null;
    if (found === "damaged" || (found === "none" && !isNew)) {
      const file = files.path(NEXT_NUMBER_FILE);
      const words = found === "damaged" ? "damaged" : "not there";
      log.warn(
        `the record of the next volume's number is ${words}: a number may be given again that ` +
          "only media have told of which are not here now",
        { file },
      );
    }
  }

  get value(): number {
    return this.#kept ?? 1;
  }

  /**
   * No number below this one is given any more. Durable when it returns; it never goes down. The
   * first one is kept, too: without a record, the next start could not tell that none is lost.
   */
  raise(to: number): void {
    if (this.#kept !== null && to <= this.#kept) return;
    this.#files.write(NEXT_NUMBER_FILE, utf8(JSON.stringify({ nextNumber: to }) + "\n"));
    this.#kept = to;
  }
}

function read(files: StateFiles): number | "none" | "damaged" {
  const bytes = files.read(NEXT_NUMBER_FILE);
  if (bytes === null) return "none";
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? "")).nextNumber;
  } catch {
    return "damaged";
  }
}
