import { z } from "zod";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "../process/context.ts";
import { LABEL_SEQUENCES_FILE } from "../process/settings.ts";
import { KeptRecord } from "./kept_record.ts";

/**
 * The last label sequence of each medium that this unit has seen, so that an older label (a rolled
 * back or copied medium) is recognised. A damaged file is forgotten: the labels are still whole,
 * only this one check is not to be had.
 */
export class LabelSequences {
  readonly #kept: KeptRecord<number>;

  constructor(files: StateFiles, log: Log) {
    this.#kept = new KeptRecord({
      files,
      log,
      file: LABEL_SEQUENCES_FILE,
      schema: z.number().int().nonnegative(),
      damaged: "the label sequences are damaged and forgotten",
    });
  }

  get known(): Readonly<Record<string, number>> {
    return this.#kept.known;
  }

  /** Durable when it returns. A sequence never goes down here, and media that are away stay. */
  keep(sequences: Readonly<Record<string, number>>): void {
    const known = { ...this.known };
    for (const [medium, sequence] of Object.entries(sequences)) {
      known[medium] = Math.max(sequence, known[medium] ?? -1);
    }
    this.#kept.replace(known);
  }
}
