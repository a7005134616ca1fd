import { VOLUME_NUMBER_MAX } from "../../protocol/core/limits.ts";
import type { Label } from "../../protocol/label/label.ts";
import type { UnitStoreOptions } from "./store_types.ts";

/**
 * The number of a unit's next new volume: above all that its labels and its state directory tell
 * of, since none is ever used again (control.md §3).
 */
export function nextNumberOf(labels: readonly Label[], from: number): number {
  return highestOf(labels.map(({ nextNumber }) => nextNumber), {
    from: Math.max(1, from),
    max: VOLUME_NUMBER_MAX,
  });
}

/**
 * The highest of what labels tell. One above `max` was written by nobody who counts: what follows
 * from it would be written to all other labels, and there is soon no number above it.
 */
export function highestOf(
  told: readonly number[],
  { from, max }: { readonly from: number; readonly max: number },
): number {
  return Math.max(from, ...told.filter((number) => number <= max));
}

/** The numbers of a unit's new volumes while its media are open. */
export class VolumeNumbers {
  readonly #from: number;
  readonly #keep: UnitStoreOptions["keepNumbers"];
  readonly #labels: () => readonly Label[];
  /** Below it numbers may be given. */
  #kept: number;

  /** `labels`: with every change that was asked for. */
  constructor(options: UnitStoreOptions, labels: () => readonly Label[]) {
    this.#from = this.#kept = options.numbersFrom ?? 1;
    this.#keep = options.keepNumbers;
    this.#labels = labels;
  }

  next(): number {
    return nextNumberOf(this.#labels(), this.#from);
  }

  /** The next number is kept, and may be given without another wait. */
  get isReserved(): boolean {
    return this.#keep === undefined || this.next() < this.#kept;
  }

  /**
   * Resolves once the next number is kept, so that it is never given again, also when all media
   * that tell of it are wiped or put back. Whoever goes on first after that may take it: who waits
   * beside others looks whether it is reserved still.
   */
  async reserve(): Promise<void> {
    const next = this.next();
    await this.#keep?.(next + 1);
    this.#kept = Math.max(this.#kept, next + 1);
  }
}
