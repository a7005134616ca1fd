import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { StateFiles } from "../process/context.ts";
import { LABEL_SEQUENCES_FILE } from "../process/settings.ts";
import type { Log } from "../../protocol/core/log.ts";

const Stored = z.record(z.uuid(), z.number().int().nonnegative());

/**
 * The last label sequence of each medium that this unit has seen, so that an older label (a rolled
 * back or copied medium) is recognised. A damaged file is forgotten: the labels are still whole,
 * only this one check is not to be had.
 */
export class LabelSequences {
  readonly #files: StateFiles;
  #known: Readonly<Record<string, number>>;

  constructor(files: StateFiles, log: Log) {
    this.#files = files;
    this.#known = read(files, log);
  }

  get known(): Readonly<Record<string, number>> {
    return this.#known;
  }

  /** Durable when it returns. A sequence never goes down here, and media that are away stay. */
  keep(sequences: Readonly<Record<string, number>>): void {
    const known = { ...this.#known };
    let changed = false;
    for (const [medium, sequence] of Object.entries(sequences)) {
      if (sequence <= (known[medium] ?? -1)) continue;
      known[medium] = sequence;
      changed = true;
    }
    if (!changed) return;
    this.#files.write(LABEL_SEQUENCES_FILE, utf8(JSON.stringify(known, null, 2) + "\n"));
    this.#known = known;
  }
}

function read(files: StateFiles, log: Log): Record<string, number> {
  const bytes = files.read(LABEL_SEQUENCES_FILE);
  if (bytes === null) return {};
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    log.warn("the label sequences are damaged and forgotten", {
      file: files.path(LABEL_SEQUENCES_FILE),
    });
    return {};
  }
}
