import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "../process/context.ts";
import { POISONED_MEDIA_FILE } from "../process/settings.ts";

const Stored = z.record(z.uuid(), z.string());

/**
 * Which media are poisoned, and why, so that a restart does not make a medium good again that has
 * lost what was written to it: that takes an operator (data-path.md §5). It is kept here, since a
 * label that is written to such a medium could itself not be relied on. A mark that a power cut
 * kept from being written, and a damaged file, lose nobody's data: who asked for a flush was
 * refused it, and hosts replay what they have not flushed to a medium that was opened anew.
 */
export class PoisonMarks {
  readonly #files: StateFiles;
  #known: Readonly<Record<string, string>>;

  constructor(files: StateFiles, log: Log) {
    this.#files = files;
    this.#known = read(files, log);
  }

  /** Reasons by medium id. */
  get known(): Readonly<Record<string, string>> {
    return this.#known;
  }

  /** These are the poisoned media now. Durable when it returns. */
  keep(poisoned: Readonly<Record<string, string>>): void {
    const text = JSON.stringify(poisoned, null, 2) + "\n";
    if (text === JSON.stringify(this.#known, null, 2) + "\n") return;
    this.#files.write(POISONED_MEDIA_FILE, utf8(text));
    this.#known = { ...poisoned };
  }
}

function read(files: StateFiles, log: Log): Record<string, string> {
  const bytes = files.read(POISONED_MEDIA_FILE);
  if (bytes === null) return {};
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    log.warn("the marks of poisoned media are damaged and forgotten", {
      file: files.path(POISONED_MEDIA_FILE),
    });
    return {};
  }
}
