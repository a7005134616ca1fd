import { z } from "zod";
import { EPOCH_MAX, EVENT_NUMBER_MAX } from "../../protocol/core/limits.ts";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { StateFiles } from "./ports.ts";

const FILE = "station.marks";
const Stored = z.object({
  epoch: z.number().int().nonnegative().max(EPOCH_MAX - 1),
  events: z.number().int().nonnegative().max(EVENT_NUMBER_MAX),
  commits: z.number().int().nonnegative().default(0),
});

/**
 * High-water marks beside the catalog, so that a damaged or restored catalog is noticed and never
 * uses an epoch or an event number again.
 */
export class Marks {
  readonly #files: StateFiles;
  /** There were none, or none that could be read: how new the catalog has to be nobody knows. */
  readonly isLost: boolean;
  #epoch: number;
  #events: number;
  #commits: number;

  constructor(files: StateFiles) {
    this.#files = files;
    const found = parse(fromUtf8(files.read(FILE) ?? new Uint8Array()) ?? "");
    this.isLost = found === NONE;
    this.#epoch = found.epoch;
    this.#events = found.events;
    this.#commits = found.commits;
  }

  /** The highest epoch this station had. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Event numbers up to this one may have been used. */
  get events(): number {
    return this.#events;
  }

  /** The catalog had so many commits (Catalog.commits), or some more. */
  get commits(): number {
    return this.#commits;
  }

  /** Durable when it returns. DvsanError "io" when it cannot be: then they are as before. */
  raise(to: Partial<z.infer<typeof Stored>>): void {
    const epoch = Math.max(this.#epoch, to.epoch ?? 0);
    const events = Math.max(this.#events, to.events ?? 0);
    const commits = Math.max(this.#commits, to.commits ?? 0);
    this.#files.write(FILE, utf8(`${JSON.stringify({ epoch, events, commits })}\n`));
    this.#epoch = epoch;
    this.#events = events;
    this.#commits = commits;
  }
}

const NONE: z.infer<typeof Stored> = { epoch: 0, events: 0, commits: 0 };

/** An unreadable file counts as none: units tell the epoch, and the catalog the event number. */
function parse(text: string): z.infer<typeof Stored> {
  try {
    return Stored.parse(JSON.parse(text));
  } catch {
    return NONE;
  }
}
