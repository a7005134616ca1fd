/** A version of a write, 0 for zeroes. */
export type Value = number;

/** What a change leaves: a value, or, after a TRIM, anything that the block ever held. */
export type Left = { readonly value: Value } | "anything";

/** Something that gave a block a value, or was seen to have. */
export class Change {
  readonly left: Left;
  /** When it was asked for. */
  readonly askedAt: number;
  /** From then on it has happened; Infinity while nobody knows. */
  doneAt = Infinity;
  /** It was answered without an error. */
  isAcknowledged = false;
  /** It was answered with an error: what its host repeats of before leaves it out. */
  hasFailed = false;
  /** Somebody read what it wrote, so it has happened. */
  isSeen = false;
  /** It is covered by a FLUSH or was a FUA write that was answered. */
  isDurable = false;
  /** It is covered by a FLUSH: its host repeats it no more, as it may a FUA one that is durable. */
  isFlushed = false;
  /** The host that could repeat it does not remember it any more. */
  isForgotten = false;
  /** A unit may have lost it since it was done. */
  isLost = false;
  /** Of the medium whose cache could not write it back: perhaps only that still has it. */
  cachedBy: string | null = null;
  /** When it came back after it was lost. */
  #backAt = -Infinity;
  /** What was not done before it when it was lost. */
  #later: readonly Change[] = [];
  /** In words, for a report. */
  readonly what: string;
  /** For something that was only seen: what may have made it. */
  readonly sources: readonly Change[];
  /**
   * It was seen while its host could repeat a TRIM here, which may leave something else the next
   * time.
   */
  readonly isPassing: boolean;

  constructor(o: { left: Left; askedAt: number; what: string; sources?: readonly Change[] }) {
    this.left = o.left;
    this.askedAt = o.askedAt;
    this.what = o.what;
    this.sources = o.sources ?? [];
    this.isPassing = this.sources.some((source) => source.leavesAnythingYet);
  }

  /** Nobody promised that it stays: it was not flushed, and both who had it lost it. */
  get mayVanish(): boolean {
    if (this.isPassing) return true;
    if (this.sources.length > 0) return this.sources.some((source) => source.mayVanish);
    return !this.isDurable && this.isForgotten && this.isLost;
  }

  /** As `mayVanish`, for a read that was asked for then: it may have come back in its time. */
  mayBeAwayFor(read: { readonly askedAt: number }): boolean {
    if (this.mayVanish) return true;
    if (this.sources.length > 0) return this.sources.some((source) => source.mayBeAwayFor(read));
    return this.isForgotten && this.#backAt > read.askedAt;
  }

  get isSettled(): boolean {
    if (this.isPassing) return false;
    if (this.sources.length > 0) return this.sources.every((source) => source.isSettled);
    return this.isDurable;
  }

  /**
   * It vanished, and who wrote it has to hear so. Not where it had been replaced: something else
   * had been asked for when it was lost, and was acknowledged later than it, then or since, so that
   * a replay leaves this one out. If that is lost as well, it is missed for itself.
   */
  get isMissed(): boolean {
    return this.mayVanish && !this.#later.some(({ isAcknowledged }) => isAcknowledged);
  }

  /** A TRIM that may be repeated. */
  get leavesAnythingYet(): boolean {
    if (this.left !== "anything") return false;
    return !this.isDurable || (!this.isFlushed && !this.isForgotten);
  }

  gives(value: Value): boolean {
    return this.left === "anything" || this.left.value === value;
  }

  /** It zeroed or discarded. */
  get isErasure(): boolean {
    return this.sources.length === 0 && this.gives(0);
  }

  /** The write of this version, and no other change. */
  isOf(version: Value): boolean {
    return this.sources.length === 0 && this.left !== "anything" && this.left.value === version;
  }

  /** `later`: of its block, what was done after it, or is not yet. */
  isGone(later: readonly Change[]): void {
    if (!this.isLost) this.#later = later;
    this.isLost = true;
  }

  /** Its unit has it, whatever was lost before; `since`: -Infinity where it had never been away. */
  isThere(since: number): void {
    if (this.isLost) this.#backAt = since;
    this.isLost = false;
    this.cachedBy = null;
  }
}

const CHANGES_KEPT = 64;

/**
 * One block as its readers may see it: a register that is written and read at the same time by
 * several, with values that are written once (but for zero). It is told of changes as they are
 * asked for and answered, and judges reads. Instants are numbers that rise with each event.
 *
 * A read may show a value when a change gave it that was asked for before the read ended, and no
 * other change lies wholly between that one and the read. What was seen counts as a change in the
 * time of the read that saw it: nobody sees anything older afterwards.
 */
export class BlockRegister {
  readonly #changes: Change[];

  constructor() {
    const blank = new Change({ left: { value: 0 }, askedAt: -1, what: "it was made of zeroes" });
    blank.doneAt = -1;
    blank.isDurable = true;
    this.#changes = [blank];
  }

  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** What may be lost yet. */
  get unflushed(): readonly Change[] {
    return this.#changes.filter(({ isDurable, sources }) => !isDurable && sources.length === 0);
  }

  asked(change: Change): void {
    this.#changes.push(change);
  }

  /**
   * A unit has lost what was not flushed; `path`: of the medium whose cache still shows it. Beneath
   * what is `left` there of a change and of later ones the change is whole: it had been synced.
   * Zeroes there say nothing of an erasure under way, which may yet turn out not to be done: they
   * may be older as well.
   */
  lost(path: string | null, left: ReadonlySet<Value> | null): void {
    for (const change of this.unflushed) {
      const later = this.#changes.filter(({ doneAt }) => doneAt > change.doneAt);
      const newer = [change, ...later.filter((one) => one.doneAt < Infinity || !one.isOf(0))]
        .filter(({ sources }) => sources.length === 0);
      if (left !== null && [...left].every((value) => newer.some((one) => one.isOf(value)))) {
        continue;
      }
      change.isGone(later);
      if (path !== null) change.cachedBy = path;
    }
  }

  /** `repeated` reaches the medium: of what failed after it was asked for, nothing may be left. */
  cameAgain(repeated: Change): void {
    for (const change of this.#failedAfter(repeated)) change.isGone([]);
  }

  /** What zeroes or discards here says something. */
  get awaitsErasure(): boolean {
    return this.#erasures.some((erasure) =>
      erasure.isLost || this.#failedAfter(erasure).length > 0
    );
  }

  /** Zeroes reach the medium, of any erasure that may be repeated. */
  erasedAgain(tick: () => number): void {
    for (const erasure of this.#erasures) {
      this.cameAgain(erasure);
      if (erasure.isLost) erasure.isThere(tick());
    }
  }

  /** It turned out that nothing has been done, and nothing will be. */
  notDone(change: Change): void {
    this.#changes.splice(this.#changes.indexOf(change), 1);
  }

  /** Null when a read from `askedAt` until `answeredAt` may see `value`; else why not, in words. */
  judge(
    value: Value,
    read: { readonly askedAt: number; readonly answeredAt: number },
  ): string | null {
    const sources = this.#changes.filter((change) =>
      change.gives(value) && change.askedAt < read.answeredAt
    );
    if (sources.length === 0) return "nobody ever wrote that here";
    let why = "";
    for (const source of sources) {
      const over = this.#changes.find((other) =>
        other !== source && other.askedAt > source.doneAt && other.doneAt < read.askedAt &&
        !other.mayBeAwayFor(read)
      );
      if (over === undefined) return null;
      why = `${source.what}; after that, ${over.what}`;
    }
    return why;
  }

  /** A read saw `value`, and that was in order; `isOnMedium`: not only in this medium's cache. */
  seen(
    value: Value,
    read: {
      readonly askedAt: number;
      readonly answeredAt: number;
      readonly what: string;
      readonly isOnMedium: (path: string) => boolean;
    },
  ): void {
    const sources = this.#changes.filter((change) =>
      change.gives(value) && change.askedAt < read.answeredAt && change.sources.length === 0
    );
    // Values but zero are written once: this is the write that was seen, and so it has happened.
    const only = sources.length === 1 ? sources[0]! : null;
    if (only !== null && value !== 0 && only.left !== "anything") {
      only.doneAt = Math.min(only.doneAt, read.answeredAt);
      only.isSeen = true;
      if (only.cachedBy !== null && read.isOnMedium(only.cachedBy)) only.isThere(-Infinity);
    }
    const view = new Change({ left: { value }, askedAt: read.askedAt, what: read.what, sources });
    view.doneAt = read.answeredAt;
    this.#changes.push(view);
  }

  get #erasures(): readonly Change[] {
    return this.unflushed.filter(({ isErasure }) => isErasure);
  }

  #failedAfter({ askedAt }: Change): readonly Change[] {
    return this.#changes.filter((change) => change.hasFailed && change.askedAt > askedAt);
  }

  /** Forgets what no read that is asked for from the instant `from` on could be judged by. */
  prune(from: number): void {
    if (this.#changes.length < CHANGES_KEPT) return;
    const settled = this.#changes.filter((change) =>
      change.isSettled && change.doneAt < from && change.left !== "anything"
    );
    let newest: Change | null = null;
    for (const change of settled) {
      if (newest === null || change.askedAt > newest.askedAt) newest = change;
    }
    if (newest === null) return;
    const limit = newest.askedAt;
    const kept = this.#changes.filter((change) => change.doneAt >= limit);
    this.#changes.splice(0, this.#changes.length, ...kept);
  }
}
