import type { Generation, StorageInfo } from "../../protocol/config/bodies.ts";

/** Of a mark: what was written and not flushed may be gone. */
const LOST = "lost";

interface Mark {
  /** Of the grant; a token is one generation's. */
  readonly generation: string;
  /** What held when nothing of its consumer's writes had been lost, or LOST. */
  readonly verifier: string;
}

export interface DirectMarksOptions {
  /** Marks of before: this process's, or an earlier one's from the state directory. */
  readonly known: Readonly<Record<string, string>>;
  /** Changes when a volume may have forgotten writes; null: nobody can say, its media are away. */
  readonly verifier: (volumeId: string) => string | null;
  /** These are the marks now; they are to be kept durably. */
  readonly changed: (marks: Readonly<Record<string, string>>) => void;
}

/**
 * Which volumes are used by a token now and may hold writes that no flush has covered, and under
 * which verifier. Whoever comes back by the same token under another one is told of the loss by one
 * failed FLUSH (data-path.md §5): nobody replays for them, and a FLUSH that succeeds would speak
 * for what is gone. A mark begins with a connection and ends once what that wrote was made durable.
 *
 * It is kept by the control thread, some milliseconds later: a power cut within the first of a
 * volume's first connection is not told. What a consumer had flushed is not looked at, so one that
 * had nothing to lose is told, too; that costs it one error, and the other way round costs data.
 */
export class DirectMarks {
  readonly #options: DirectMarksOptions;
  readonly #marks = new Map<string, Mark>();
  #told: string;

  constructor(options: DirectMarksOptions) {
    this.#options = options;
    for (const [volumeId, text] of Object.entries(options.known)) {
      const [generation = "", verifier = LOST] = text.split(" ");
      this.#marks.set(volumeId, { generation, verifier });
    }
    this.#told = JSON.stringify(this.record());
  }

  /** Each mark as one text, by volume. */
  record(): Readonly<Record<string, string>> {
    const all = [...this.#marks].map(([id, mark]) => [id, `${mark.generation} ${mark.verifier}`]);
    return Object.fromEntries(all);
  }

  /** A consumer comes in; true when it is owed the news of a loss, until `told`. */
  opened(volumeId: string, generation: Generation): boolean {
    this.refresh();
    const mark = this.#marks.get(volumeId);
    const isOwed = mark?.generation === textOf(generation) && mark.verifier === LOST;
    if (!isOwed) this.#set(volumeId, generation);
    return isOwed;
  }

  /** Its consumer knows. */
  told(volumeId: string, generation: Generation): void {
    this.#set(volumeId, generation);
  }

  /** Nobody uses the volume, and what was written to it is durable. */
  settled(volumeId: string): void {
    this.refresh();
    if (this.#marks.get(volumeId)?.verifier !== LOST) this.forget(volumeId);
  }

  /** All that was written to media that are whole is durable, and nobody is connected. */
  settledAll(): void {
    for (const volumeId of [...this.#marks.keys()]) {
      if (this.#options.verifier(volumeId) !== null) this.settled(volumeId);
    }
  }

  forget(volumeId: string): void {
    this.#marks.delete(volumeId);
    this.#tell();
  }

  /** What verifiers show of losses by now. */
  refresh(): void {
    for (const [volumeId, mark] of this.#marks) {
      const verifier = this.#options.verifier(volumeId);
      if (verifier === null || verifier === mark.verifier) continue;
      this.#marks.set(volumeId, { ...mark, verifier: LOST });
    }
    this.#tell();
  }

  #set(volumeId: string, generation: Generation): void {
    const verifier = this.#options.verifier(volumeId) ?? LOST;
    this.#marks.set(volumeId, { generation: textOf(generation), verifier });
    this.#tell();
  }

  #tell(): void {
    const record = this.record();
    const text = JSON.stringify(record);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.changed(record);
  }
}

function textOf({ epoch, counter }: Generation): string {
  return `${epoch}.${counter}`;
}

/**
 * What DirectMarks goes by. A process that ends leaves what was written with the kernel; a machine
 * that restarts does not, nor does a medium that has failed.
 */
export function directVerifierOf(
  volumeId: string,
  of: { readonly storage: StorageInfo; readonly bootId: string },
): string | null {
  const { media, volumes } = of.storage;
  const volume = volumes.find(({ id }) => id === volumeId);
  if (volume === undefined) return null;
  const states = volume.media.map((id) => media.find((medium) => medium.id === id)?.state);
  if (states.some((state) => state === "poisoned" || state === "failed")) return LOST;
  return states.every((state) => state === "ok") ? of.bootId : null;
}
