import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "../process/context.ts";

const FILE = "forgotten-media.json";
const Stored = z.array(z.uuid());

/**
 * Media that an operator gave up for lost: what they held part of can be deleted, and one that
 * comes back is not served by itself. A damaged file counts as none: such media are missing again.
 */
export class ForgottenMedia {
  readonly #files: StateFiles;
  #ids: readonly string[];

  constructor(files: StateFiles, log: Log) {
    this.#files = files;
    this.#ids = read(files, log);
  }

  list(): readonly string[] {
    return this.#ids;
  }

  /** Durable when it returns. */
  add(mediumId: string): void {
    if (!this.#ids.includes(mediumId)) this.#keep([...this.#ids, mediumId]);
  }

  /** Durable when it returns. */
  remove(mediumId: string): void {
    if (this.#ids.includes(mediumId)) this.#keep(this.#ids.filter((id) => id !== mediumId));
  }

  #keep(ids: readonly string[]): void {
    this.#files.write(FILE, utf8(JSON.stringify(ids, null, 2) + "\n"));
    this.#ids = ids;
  }
}

function read(files: StateFiles, log: Log): readonly string[] {
  const bytes = files.read(FILE);
  if (bytes === null) return [];
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    log.warn("the list of forgotten media is damaged and empty now", { file: files.path(FILE) });
    return [];
  }
}
