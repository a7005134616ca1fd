import { z } from "zod";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "../process/context.ts";
import { POISONED_MEDIA_FILE } from "../process/settings.ts";
import { KeptRecord } from "./kept_record.ts";

/**
 * Which media are poisoned, and why, so that a restart does not make a medium good again that has
 * lost what was written to it: that takes an operator (data-path.md §5). It is kept here, since a
 * label that is written to such a medium could itself not be relied on. A mark that a power cut
 * kept from being written, and a damaged file, lose nobody's data: who asked for a flush was
 * refused it, and hosts replay what they have not flushed to a medium that was opened anew.
 */
export class PoisonMarks {
  readonly #kept: KeptRecord<string>;

  constructor(files: StateFiles, log: Log) {
    this.#kept = new KeptRecord({
      files,
      log,
      file: POISONED_MEDIA_FILE,
      schema: z.string(),
      damaged: "the marks of poisoned media are damaged and forgotten",
    });
  }

  /** Reasons by medium id. */
  get known(): Readonly<Record<string, string>> {
    return this.#kept.known;
  }

  /** These are the poisoned media now. Durable when it returns. */
  keep(poisoned: Readonly<Record<string, string>>): void {
    this.#kept.replace(poisoned);
  }
}
