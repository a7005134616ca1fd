/**
 * What all devices on one medium share (data-path.md §5). Linux reports a writeback error once; a
 * later sync that succeeds would lie. So the first failed sync poisons the medium: FLUSH and FUA
 * fail on every device of it for as long as this object lives, that is until it is opened anew.
 */
export class MediumState {
  /** Changes that were done on the medium; counted when done, before anybody hears of them. */
  changes = 0;
  /**
   * Of those, the ones that a sync that succeeded is known to cover. Below zero until the first
   * one: a process before this one may have acknowledged writes that nobody has synced yet.
   */
  synced = -1;
  #errorCount = 0;
  #poisoned = false;
  /** Hears of every failure that a device met. */
  onFailed: (failure: MediumFailure) => void;

  constructor(onFailed: (failure: MediumFailure) => void = () => {}) {
    this.onFailed = onFailed;
  }

  /** Failed operations since it was opened; part of an export's verifier. */
  get errorCount(): number {
    return this.#errorCount;
  }

  /** Nothing on it may be called durable any more. */
  get poisoned(): boolean {
    return this.#poisoned;
  }

  /** A sync failed that was not a device's: that of a label, or of zeroing. */
  poison(): void {
    this.#poisoned = true;
  }

  /** For its devices: an operation failed with a positive errno. */
  failed(during: MediumFailure["during"], errno: number): void {
    this.#errorCount++;
    if (during === "sync") this.#poisoned = true;
    this.onFailed({ during, errno, poisoned: this.#poisoned, errorCount: this.#errorCount });
  }
}

export interface MediumFailure {
  /** "sync" is a failed flush, or a write that had to be durable. */
  readonly during: "read" | "write" | "sync" | "discard" | "zero";
  readonly errno: number;
  readonly poisoned: boolean;
  readonly errorCount: number;
}
