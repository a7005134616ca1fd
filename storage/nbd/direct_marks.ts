import type { Generation, StorageInfo } from "../../protocol/config/bodies.ts";

/** Of a mark: what was written and not flushed may be gone. */
const LOST = "lost";

interface Mark {
  /** Of the grant; a token is one generation's. */
  readonly generation: string;
  /** What held when nothing of its consumer's writes had been lost, or LOST. */
  readonly verifier: string;
}

export type DirectVerifiers = (volumeId: string) => string | null;

export interface DirectMarksOptions {
  /** Marks of before: this process's, or an earlier one's from the state directory. */
  readonly known: Readonly<Record<string, string>>;
  /**
   * What of each volume changes when that may have forgotten writes; null: nobody can say, its
   * media are away. Holds as of the call: looking at all media is done once for all volumes.
   */
  readonly verifiers: () => DirectVerifiers;
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
    const verifiers = this.#refreshed();
    const mark = this.#marks.get(volumeId);
    const isOwed = mark?.generation === textOf(generation) && mark.verifier === LOST;
    if (!isOwed) this.#set(volumeId, { generation, verifiers });
    this.#tell();
    return isOwed;
  }

  /** Its consumer knows. */
  told(volumeId: string, generation: Generation): void {
    this.#set(volumeId, { generation, verifiers: this.#options.verifiers() });
    this.#tell();
  }

  /** Nobody uses the volume, and what was written to it is durable. */
  settled(volumeId: string): void {
    this.#refreshed();
    this.#settle(volumeId);
    this.#tell();
  }

  /** All that was written to media that are whole is durable, and nobody is connected. */
  settledAll(): void {
    const verifiers = this.#refreshed();
    for (const volumeId of [...this.#marks.keys()]) {
      if (verifiers(volumeId) !== null) this.#settle(volumeId);
    }
    this.#tell();
  }

  forget(volumeId: string): void {
    this.#marks.delete(volumeId);
    this.#tell();
  }

  /** What verifiers show of losses by now. */
  refresh(): void {
    if (this.#marks.size === 0) return;
    this.#refreshed();
    this.#tell();
  }

  #refreshed(): DirectVerifiers {
    const verifiers = this.#options.verifiers();
    for (const [volumeId, mark] of this.#marks) {
      const verifier = verifiers(volumeId);
      if (verifier === null || verifier === mark.verifier) continue;
      this.#marks.set(volumeId, { ...mark, verifier: LOST });
    }
    return verifiers;
  }

  #set(volumeId: string, of: { generation: Generation; verifiers: DirectVerifiers }): void {
    const verifier = of.verifiers(volumeId) ?? LOST;
    this.#marks.set(volumeId, { generation: textOf(of.generation), verifier });
  }

  #settle(volumeId: string): void {
    if (this.#marks.get(volumeId)?.verifier !== LOST) this.#marks.delete(volumeId);
  }

  #tell(): void {
    const record = this.record();
    const text = JSON.stringify(record);
    if (text === this.#told) return;
    this.#told = text;
    this.#options.changed(record);
  }
}

/**
 * The marks of before. Where they were damaged, each token that is granted now may have been used
 * before a power cut: who comes by one is told so. A token of media that are not open is not known.
 * `adopted`: a medium that an operator has taken over now; it may be a copy of before.
 */
export function knownMarks(
  { directMarks = {}, areDirectMarksLost = false, adopted }: {
    readonly directMarks?: Readonly<Record<string, string>>;
    readonly areDirectMarksLost?: boolean;
    readonly adopted?: string | undefined;
  },
  { volumes }: Pick<StorageInfo, "volumes">,
): Readonly<Record<string, string>> {
  if (!areDirectMarksLost) {
    const marks = volumes.filter(({ id, media }) =>
      adopted !== undefined && media.includes(adopted) && Object.hasOwn(directMarks, id)
    ).map(({ id }) => [id, `${directMarks[id]!.split(" ")[0]} ${LOST}`]);
    return { ...directMarks, ...Object.fromEntries(marks) };
  }
  const granted = volumes.flatMap(({ id, grant }) =>
    grant?.direct === undefined ? [] : [[id, `${textOf(grant.generation)} ${LOST}`]]
  );
  return Object.fromEntries(granted);
}

function textOf({ epoch, counter }: Generation): string {
  return `${epoch}.${counter}`;
}

/**
 * What DirectMarks goes by. A process that ends leaves what was written with the kernel; a machine
 * that restarts does not, nor does a medium that has failed, nor a device that was out meanwhile.
 * The last cannot be told where the system has no incarnations; then it goes by the other two.
 */
export function directVerifiersOf(
  { storage, bootId, media }: {
    readonly storage: StorageInfo;
    readonly bootId: string;
    readonly media: { incarnation(mediumId: string): string | null };
  },
): DirectVerifiers {
  const stateOf = new Map(storage.media.map(({ id, state }) => [id, state]));
  const mediaOf = new Map(storage.volumes.map(({ id, media }) => [id, media]));
  return (volumeId) => {
    const states = mediaOf.get(volumeId)?.map((id) => stateOf.get(id));
    if (states === undefined) return null;
    if (states.some((state) => state === "poisoned" || state === "failed")) return LOST;
    if (states.some((state) => state !== "ok")) return null;
    const times = mediaOf.get(volumeId)?.map((id) => media.incarnation(id) ?? "") ?? [];
    return times.every((time) => time === "") ? bootId : `${bootId}/${times.join(",")}`;
  };
}
