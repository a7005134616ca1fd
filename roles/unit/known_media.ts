import { z } from "zod";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Notice, UnitStart } from "../../storage/worker/messages.ts";
import type { StateFiles } from "../process/context.ts";
import { DIRECT_USE_FILE } from "../process/settings.ts";
import { ForgottenMedia } from "./forgotten.ts";
import { KeptRecord } from "./kept_record.ts";
import { MediumDevices } from "./medium_devices.ts";
import { PoisonMarks } from "./poison_marks.ts";
import { LabelSequences } from "./sequences.ts";

type Known = Pick<
  UnitStart,
  "knownSequences" | "forgottenMedia" | "poisonedMedia" | "knownDevices" | "directMarks"
>;

/** What a unit must know of media from before, and labels cannot tell: kept in its directory. */
export class KnownMedia {
  readonly forgotten: ForgottenMedia;
  readonly #sequences: LabelSequences;
  readonly #marks: PoisonMarks;
  readonly #devices: MediumDevices;
  readonly #direct: KeptRecord<string>;
  readonly #log: Log;

  constructor(files: StateFiles, log: Log) {
    this.#log = log;
    this.forgotten = new ForgottenMedia(files, log);
    this.#sequences = new LabelSequences(files, log);
    this.#marks = new PoisonMarks(files, log);
    this.#devices = new MediumDevices(files, log);
    this.#direct = new KeptRecord({
      files,
      log,
      file: DIRECT_USE_FILE,
      schema: z.string(),
      damaged: "the marks of volumes that are used directly are damaged and forgotten",
    });
  }

  /** For opening the media. */
  known(): Known {
    return {
      knownSequences: this.#sequences.known,
      forgottenMedia: this.forgotten.list(),
      poisonedMedia: this.#marks.known,
      knownDevices: this.#devices.known,
      directMarks: this.#direct.known,
    };
  }

  /** Durable when it returns. */
  keep(notice: Extract<Notice, { notice: "storage-changed" }>): void {
    this.#sequences.keep(notice.sequences);
    this.#marks.keep(notice.poisoned);
    this.#devices.keep(notice.devices);
  }

  /**
   * Durable when it returns true. A state directory that takes nothing now is logged and tried
   * again at the next change: whoever comes by a token must not end what serves all hosts.
   */
  keepDirect(marks: Readonly<Record<string, string>>): boolean {
    try {
      this.#direct.replace(marks);
      return true;
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      const problem = error.message;
      this.#log.error(
        "cannot keep which volumes are used directly: should this machine restart now, no FLUSH " +
          "tells their users of what was lost. Make room in the state directory.",
        { problem },
      );
      return false;
    }
  }
}
