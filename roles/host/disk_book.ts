import { z } from "zod";
import { Assignment } from "../../protocol/config/bodies.ts";
import { fromHex, fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { ATTACHMENTS_PER_RUN } from "../../protocol/core/limits.ts";
import { type Random, randomFraction } from "../../protocol/core/random.ts";
import type { DiskAttach } from "../../storage/worker/messages.ts";

/** What the book needs of a state directory; roles/process/state_files.ts provides it. */
export interface BookFiles {
  read(name: string): Uint8Array | null;
  /** Durable and whole when it returns. */
  write(name: string, bytes: Uint8Array): void;
}

const FILE = "disks.json";

/** Of these, in the order of the numbers, one is chosen at random for each run handed out. */
const RUNS_TO_CHOOSE_FROM = 2 ** 16;
const STEP = RUNS_TO_CHOOSE_FROM * ATTACHMENTS_PER_RUN;

const HexKey = z.string().transform((text) => fromHex(text) ?? new Uint8Array());
const StoredAssignment = z.preprocess((value) => {
  const parsed = z.looseObject({ legs: z.array(z.looseObject({ unitKey: HexKey })) })
    .safeParse(value);
  return parsed.success ? parsed.data : value;
}, Assignment);

const Stored = z.strictObject({
  format: z.literal(1),
  disks: z.array(z.strictObject({
    assignment: StoredAssignment,
    /** How many runs of attachment numbers were handed out. */
    runs: z.number().int().nonnegative(),
    use: z.strictObject({ bootId: z.string(), marks: z.record(z.uuid(), z.string()) }).optional(),
  })),
});

/**
 * A process has attached the disk, and it was not detached with everything flushed. Consumers
 * outlive a process of ours, and not the machine.
 */
interface Use {
  readonly bootId: string;
  /** By volume id (storage/devices/leg_memory.ts); none yet for a leg that was never attached. */
  readonly marks: Readonly<Record<string, string>>;
}

interface Entry {
  assignment: Assignment;
  runs: number;
  use?: Use | undefined;
}

export interface DiskBookOptions {
  readonly random: Random;
  /** Differs whenever this machine was started anew. */
  readonly bootId: string;
}

/** What a disk is attached with. */
export type Attaching = Pick<DiskAttach, "firstAttachment" | "marks">;

/**
 * The assignments a host holds, on its own disk, so that it attaches at boot without the station,
 * the attachment numbers it has used, which must never be used again, and by which marks a loss is
 * seen that no process of it was there to see. Every change is durable before the method returns.
 */
export class DiskBook {
  readonly #files: BookFiles;
  readonly #options: DiskBookOptions;
  readonly #entries: Map<string, Entry>;

  private constructor(files: BookFiles, options: DiskBookOptions, entries: Map<string, Entry>) {
    this.#files = files;
    this.#options = options;
    this.#entries = entries;
  }

  /** Throws DvsanError when the file is there and cannot be understood. */
  static load(files: BookFiles, options: DiskBookOptions): DiskBook {
    const bytes = files.read(FILE);
    const entries = new Map<string, Entry>();
    if (bytes !== null) {
      for (const entry of parse(bytes)) entries.set(entry.assignment.diskId, entry);
    }
    return new DiskBook(files, options, entries);
  }

  list(): Assignment[] {
    return [...this.#entries.values()].map((entry) => entry.assignment);
  }

  get(diskId: string): Assignment | null {
    return this.#entries.get(diskId)?.assignment ?? null;
  }

  byName(name: string): Assignment | null {
    return this.list().find((assignment) => assignment.name === name) ?? null;
  }

  /** DvsanError "io" when it cannot be kept: then the book is as before. */
  put(assignment: Assignment): void {
    const { diskId } = assignment;
    const before = this.#entries.get(diskId);
    this.#entries.set(diskId, { runs: 0, ...before, assignment });
    this.#saveOr(() => this.#putBack(diskId, before));
  }

  /** DvsanError "io" when that cannot be kept: then the book is as before. */
  remove(diskId: string): void {
    const before = this.#entries.get(diskId);
    if (this.#entries.delete(diskId)) this.#saveOr(() => this.#putBack(diskId, before));
  }

  /**
   * The disk is about to be attached, and may hold unflushed writes from now on. DvsanError as
   * `reserveAttachments`, and then it is not in use by this.
   */
  attaching(diskId: string): Attaching {
    const { bootId } = this.#options;
    const entry = this.#entries.get(diskId);
    const before = entry?.use;
    const use = before?.bootId === bootId ? before : undefined;
    if (entry !== undefined) entry.use = use ?? { bootId, marks: {} };
    try {
      return { firstAttachment: this.reserveAttachments(diskId), marks: use?.marks ?? null };
    } catch (error) {
      if (entry !== undefined) entry.use = before;
      throw error;
    }
  }

  /**
   * A leg's mark. DvsanError "io" when it cannot be kept now: it is, by the next change that can,
   * and until then an older one costs no more than an error.
   */
  marked(diskId: string, { volumeId, mark }: { volumeId: string; mark: string }): void {
    const entry = this.#entries.get(diskId);
    if (entry?.use === undefined) return;
    entry.use = { ...entry.use, marks: { ...entry.use.marks, [volumeId]: mark } };
    this.#save();
  }

  /** Nothing of the disk is unflushed, and nobody uses it. DvsanError "io" as `marked`. */
  settled(diskId: string): void {
    const entry = this.#entries.get(diskId);
    if (entry?.use === undefined) return;
    entry.use = undefined;
    this.#save();
  }

  /**
   * The first of a run of attachment numbers that nobody has used. They rise from run to run, and
   * which run it is, is random besides: two copies of this book that are used at once have
   * different ones, and the unit shuts one of them out, also after its restart, over which it
   * keeps no more than the run. `above`: a number that a unit has seen, which this book, restored
   * from an old copy, does not know.
   */
  reserveAttachments(diskId: string, above = 0): number {
    const entry = this.#entries.get(diskId);
    if (entry === undefined) {
      throw new DvsanError("not-found", `Disk ${diskId} is not assigned to this host.`);
    }
    entry.runs = Math.max(entry.runs, Math.ceil(above / STEP)) + 1;
    this.#save();
    const chosen = Math.floor(randomFraction(this.#options.random) * RUNS_TO_CHOOSE_FROM);
    return entry.runs * STEP + chosen * ATTACHMENTS_PER_RUN;
  }

  #putBack(diskId: string, entry: Entry | undefined): void {
    if (entry === undefined) this.#entries.delete(diskId);
    else this.#entries.set(diskId, entry);
  }

  /** What is not durable must not be taken for done when it is asked for again. */
  #saveOr(undo: () => void): void {
    try {
      this.#save();
    } catch (error) {
      undo();
      throw error;
    }
  }

  #save(): void {
    const disks = [...this.#entries.values()].map(({ assignment, runs, use }) => ({
      assignment: {
        ...assignment,
        legs: assignment.legs.map((leg) => ({ ...leg, unitKey: hexOf(leg.unitKey) })),
      },
      runs,
      ...(use === undefined ? {} : { use }),
    }));
    this.#files.write(FILE, utf8(JSON.stringify({ format: 1, disks }, null, 2) + "\n"));
  }
}

function parse(bytes: Uint8Array): Entry[] {
  const text = fromUtf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text ?? "");
  } catch (cause) {
    throw damaged("it is not JSON", cause);
  }
  const stored = Stored.safeParse(value);
  if (!stored.success) throw damaged(z.prettifyError(stored.error), stored.error);
  return stored.data.disks;
}

function damaged(why: string, cause: unknown): DvsanError {
  return new DvsanError(
    "invalid",
    `Cannot read ${FILE} in the host's state directory: ${why}. Move it away and start again: ` +
      "the station tells of all disks anew, and attachment numbers go on above those that the " +
      "units know. A loss that the next FLUSH was to tell of is then told to nobody.",
    { cause },
  );
}
