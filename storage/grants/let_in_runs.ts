import { compareGenerations, type Generation } from "../../protocol/config/bodies.ts";
import { ATTACHMENTS_PER_RUN, VOLUMES_PER_UNIT_MAX } from "../../protocol/core/limits.ts";

/** Of a volume's grant: the first number of the highest run that came in by it. */
export interface LetInRun extends Generation {
  readonly first: number;
}

/** By volume id. */
export type LetInRecord = Readonly<Record<string, LetInRun>>;

export interface LetInRunsOptions {
  /** From before this opening. */
  readonly known: LetInRecord;
  /** Volumes of this opening: others' media may come back, and are forgotten first. */
  readonly volumes: readonly string[];
  /** Has the record kept durably. Does not reject: whoever waits for it is let in in any case. */
  readonly keep: (record: LetInRecord) => Promise<void>;
}

/**
 * Which run of attachment numbers came in last for each volume, over restarts of the unit. A host
 * gives its numbers out in order, but a copy of it does not know of them: it comes back after a
 * restart with lower ones, and would replay old writes over what was flushed since. Two copies have
 * different runs, so no more than that is kept, once for each run and not at each reconnect.
 */
export class LetInRuns {
  readonly #keep: LetInRunsOptions["keep"];
  /** Whom to forget first, first. */
  readonly #runs: Map<string, LetInRun>;
  /** Not kept yet; at most one for each volume, the newest. */
  readonly #pending = new Map<string, Promise<void>>();

  constructor({ known, volumes, keep }: LetInRunsOptions) {
    this.#keep = keep;
    const here = new Set(volumes);
    const all = Object.entries(known);
    this.#runs = new Map([
      ...all.filter(([id]) => !here.has(id)),
      ...all.filter(([id]) => here.has(id)),
    ]);
  }

  get record(): LetInRecord {
    return Object.fromEntries(this.#runs);
  }

  /** Numbers below this one are of a run before the one that came in last; 0: none has. */
  floor(volumeId: string, generation: Generation): number {
    const run = this.#runs.get(volumeId);
    return run !== undefined && compareGenerations(run, generation) === 0 ? run.first : 0;
  }

  /** An attachment that the grant table admitted. Null when its run is kept already. */
  letIn(
    volumeId: string,
    { generation: { epoch, counter }, attachment }: {
      readonly generation: Generation;
      readonly attachment: number;
    },
  ): Promise<void> | null {
    const first = attachment - attachment % ATTACHMENTS_PER_RUN;
    if (first <= this.floor(volumeId, { epoch, counter })) {
      return this.#pending.get(volumeId) ?? null;
    }
    this.#runs.delete(volumeId);
    this.#runs.set(volumeId, { epoch, counter, first });
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > 2 * VOLUMES_PER_UNIT_MAX) this.#runs.delete(oldest!);
    const kept = this.#keep(this.record).finally(() => {
      if (this.#pending.get(volumeId) === kept) this.#pending.delete(volumeId);
    });
    this.#pending.set(volumeId, kept);
    return kept;
  }

  /** The volume is deleted. That is kept with what changes next. */
  forget(volumeId: string): void {
    this.#runs.delete(volumeId);
    this.#pending.delete(volumeId);
  }
}
