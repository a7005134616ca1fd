import { z } from "zod";
import type { Clock, Timer } from "../../protocol/core/clock.ts";
import { Generation } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { STATE_RETRY_MS } from "../../protocol/core/limits_truth.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Notice, UnitStart } from "../../storage/worker/messages.ts";
import type { LetInRecord, LetInRun } from "../../storage/grants/let_in_runs.ts";
import type { StateFiles } from "../process/context.ts";
import { DIRECT_USE_FILE, LET_IN_FILE, MEDIA_CONTINUITY_FILE } from "../process/settings.ts";
import { ForgottenMedia } from "./forgotten.ts";
import { KeptRecord } from "./kept_record.ts";
import { MediumDevices } from "./medium_devices.ts";
import { NextNumber } from "./next_number.ts";
import { PoisonMarks } from "./poison_marks.ts";
import { LabelSequences } from "./sequences.ts";

type Known = Pick<
  UnitStart,
  | "knownSequences"
  | "forgottenMedia"
  | "poisonedMedia"
  | "knownDevices"
  | "continuities"
  | "numbersFrom"
  | "directMarks"
  | "areDirectMarksLost"
  | "letIn"
>;

type Changed = Pick<
  Extract<Notice, { notice: "storage-changed" }>,
  "sequences" | "nextNumber" | "poisoned" | "devices" | "continuities"
>;

export interface KnownMediaOptions {
  readonly files: StateFiles;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * What a unit must know of media from before, and labels cannot tell: kept in its directory. A
 * directory that takes nothing now ends nothing: what serves all hosts goes on, the log says what a
 * restart would cost, and it is tried again until all is kept.
 */
export class KnownMedia {
  readonly forgotten: ForgottenMedia;
  readonly #o: KnownMediaOptions;
  readonly #sequences: LabelSequences;
  readonly #number: NextNumber;
  readonly #marks: PoisonMarks;
  readonly #devices: MediumDevices;
  readonly #continuities: KeptRecord<string>;
  readonly #direct: KeptRecord<string>;
  readonly #letIn: KeptRecord<LetInRun>;
  /** The newest that is to be kept, by what it is, until it is. */
  readonly #open = new Map<string, () => void>();
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(options: KnownMediaOptions) {
    const { files, log } = options;
    this.#o = options;
    this.forgotten = new ForgottenMedia(files, log);
    this.#sequences = new LabelSequences(files, log);
    const isNew = Object.keys(this.#sequences.known).length === 0;
    this.#number = new NextNumber(files, { log, isNew });
    this.#marks = new PoisonMarks(files, log);
    this.#devices = new MediumDevices(files, log);
    this.#continuities = new KeptRecord({
      files,
      log,
      file: MEDIA_CONTINUITY_FILE,
      schema: z.string(),
      damaged: "what tells that media have lost nothing is damaged: programs that come back to a " +
        "host's agent that was killed are told of a possible loss, by one FLUSH that fails",
    });
    this.#direct = new KeptRecord({
      files,
      log,
      file: DIRECT_USE_FILE,
      schema: z.string(),
      damaged:
        "the marks of volumes that are used directly are damaged: whoever comes by a token " +
        "that was made before is told of a possible loss, by one FLUSH that fails; not so for " +
        "tokens of media that are not open at this start",
    });
    this.#letIn = new KeptRecord({
      files,
      log,
      file: LET_IN_FILE,
      schema: Generation.extend({ first: z.number().int().nonnegative() }),
      damaged: "what tells whose attachments came in last is damaged: until it came back once, a " +
        "host that was copied and then cut off may write again what its copy has replaced",
    });
  }

  /** For opening the media. */
  known(): Known {
    return {
      knownSequences: this.#sequences.known,
      numbersFrom: this.#number.value,
      forgottenMedia: this.forgotten.list(),
      poisonedMedia: this.#marks.known,
      knownDevices: this.#devices.known,
      continuities: this.#continuities.known,
      directMarks: this.#direct.known,
      areDirectMarksLost: this.#direct.isDamaged,
      letIn: this.#letIn.known,
    };
  }

  /** Durable when it returns true; otherwise it is tried again. */
  keep({ sequences, nextNumber, poisoned, devices, continuities }: Changed): boolean {
    return this.#keep({
      "label sequences": () => this.#sequences.keep(sequences),
      "the next volume's number": () => this.#number.raise(nextNumber),
      "poisoned media": () => this.#marks.keep(poisoned),
      "media's devices": () => this.#devices.keep(devices),
      "what media have not lost": () => this.#continuities.replace(continuities),
    });
  }

  /** The same for who uses volumes by a token. */
  keepDirect(marks: Readonly<Record<string, string>>): boolean {
    return this.#keep({ "marks of direct use": () => this.#direct.replace(marks) });
  }

  /** The same for which runs of attachment numbers hosts came in by. */
  keepLetIn(runs: LetInRecord): boolean {
    return this.#keep({ "who was let in": () => this.#letIn.replace(runs) });
  }

  /** Numbers below this one may be given: null once that is durable, or why it cannot be. */
  keepNumbers(below: number): string | null {
    try {
      this.#number.raise(below);
      return null;
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      return error.message;
    }
  }

  /** An operator gave it up. DvsanError "io" when that cannot be kept yet. */
  gaveUp(mediumId: string): void {
    if (this.#keep({ [`given up: ${mediumId}`]: () => this.forgotten.add(mediumId) })) return;
    throw new DvsanError(
      "io",
      `Medium ${mediumId} is given up, and its unit cannot keep that: its state directory takes ` +
        "nothing. Make room there; should the unit restart before, the medium is missing again.",
    );
  }

  /** An operator had the unit take it over: should that not be kept, it is to be adopted again. */
  adopted(mediumId: string): void {
    this.#keep({ [`given up: ${mediumId}`]: () => this.forgotten.remove(mediumId) });
  }

  /** Nothing is tried again from now on. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #keep(what: Readonly<Record<string, () => void>>): boolean {
    const wasOpen = this.#open.size > 0;
    for (const [name, write] of Object.entries(what)) this.#open.set(name, write);
    const problem = this.#writeOpen();
    if (problem === null) {
      if (wasOpen) this.#o.log.info("the state directory takes again what is to be kept");
      return true;
    }
    if (!wasOpen) {
      this.#o.log.error(
        "cannot keep what is known of the media; I/O goes on. Should this unit restart now, an " +
          "old copy of a medium may pass for it, a failed medium for a good one, a host that was " +
          "cut off for its copy that was let in since, and who uses a volume by a token, or over " +
          "a restart of their host's agent, may not be told of a loss. Make room in the state " +
          "directory, or mend why it cannot be written; it is tried again until then",
        { problem, open: [...this.#open.keys()].join(", ") },
      );
    }
    if (!this.#isStopped && this.#timer === null) {
      this.#timer = this.#o.clock.after(STATE_RETRY_MS, () => {
        this.#timer = null;
        this.#keep({});
      });
    }
    return false;
  }

  /** Why some of it could not be written, or null. One that fails holds up no other. */
  #writeOpen(): string | null {
    let problem: string | null = null;
    for (const [name, write] of [...this.#open]) {
      try {
        write();
        this.#open.delete(name);
      } catch (error) {
        if (!(error instanceof DvsanError)) throw error;
        problem = error.message;
      }
    }
    return problem;
  }
}
