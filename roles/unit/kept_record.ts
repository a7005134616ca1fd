import { z } from "zod";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { StateFiles } from "../process/context.ts";

interface KeptRecordOptions<T> {
  readonly files: StateFiles;
  readonly log: Log;
  /** Name in the state directory. */
  readonly file: string;
  readonly schema: z.ZodType<T>;
  /** Logged when the file is damaged. */
  readonly damaged: string;
}

/**
 * What a unit remembers of each medium, by its id, as JSON in the state directory. A damaged file
 * is forgotten and logged: labels are whole, only the check that it is for is not to be had.
 */
export class KeptRecord<T> {
  readonly #options: KeptRecordOptions<T>;
  #known: Readonly<Record<string, T>>;
  #isDamaged: boolean;

  constructor(options: KeptRecordOptions<T>) {
    this.#options = options;
    const known = read(options);
    this.#known = known ?? {};
    this.#isDamaged = known === null;
  }

  /** What it had is not known, until it is written anew. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  get known(): Readonly<Record<string, T>> {
    return this.#known;
  }

  /** Durable when it returns; nothing is written when nothing differs. */
  replace(known: Readonly<Record<string, T>>): void {
    const text = textOf(known);
    if (text === textOf(this.#known) && !this.#isDamaged) return;
    const { files, file } = this.#options;
    files.write(file, utf8(text));
    this.#known = { ...known };
    this.#isDamaged = false;
  }
}

function textOf(known: unknown): string {
  return JSON.stringify(known, null, 2) + "\n";
}

/** Null when it is damaged. */
function read<T>(
  { files, log, file, schema, damaged }: KeptRecordOptions<T>,
): Record<string, T> | null {
  const bytes = files.read(file);
  if (bytes === null) return {};
  try {
    return z.record(z.uuid(), schema).parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    log.warn(damaged, { file: files.path(file) });
    return null;
  }
}
