import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Wipe } from "../../storage/media/medium_file.ts";
import type { StateFiles } from "../process/context.ts";
import { USED_WIPES_FILE } from "../process/settings.ts";

const Stored = z.array(z.string());

interface Asked {
  readonly path: string;
  readonly wipe: boolean;
}

/**
 * Paths whose --wipe has held: a flag that stays in a unit's settings says nothing about the device
 * that is at that path later. It holds again after a start without it. A damaged file counts as one
 * that names them all.
 */
export class UsedWipes {
  readonly #files: StateFiles;
  readonly #asked: readonly string[];
  #used: readonly string[];

  /** Durable when it returns: those that are not asked for any more are forgotten. */
  constructor(files: StateFiles, { devices, log }: { devices: readonly Asked[]; log: Log }) {
    this.#files = files;
    this.#asked = devices.filter(({ wipe }) => wipe).map(({ path }) => path);
    const found = read(files, log);
    this.#used = found ?? this.#asked;
    this.#keep(this.#asked.filter((path) => this.#used.includes(path)), found === null);
  }

  of({ path, wipe }: Asked): Wipe {
    if (!wipe) return "no";
    return this.#used.includes(path) ? "used" : "yes";
  }

  /** The devices at these paths were taken. Durable when it returns. */
  taken(paths: readonly string[]): void {
    this.#keep(this.#asked.filter((path) => this.#used.includes(path) || paths.includes(path)));
  }

  #keep(used: readonly string[], isDamaged = false): void {
    if (used.length === this.#used.length && !isDamaged) return;
    this.#files.write(USED_WIPES_FILE, utf8(JSON.stringify(used, null, 2) + "\n"));
    this.#used = used;
  }
}

/** Null when it is damaged. */
function read(files: StateFiles, log: Log): readonly string[] | null {
  const bytes = files.read(USED_WIPES_FILE);
  if (bytes === null) return [];
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    log.warn("the list of wiped paths is damaged: no --wipe holds before a start without it", {
      file: files.path(USED_WIPES_FILE),
    });
    return null;
  }
}
