import { type Asker, NOBODY } from "../io/operation.ts";

/**
 * Whether acknowledged changes were given up, and who was told. A flush speaks for all that was
 * written by whomever, so everybody who was there then is told by one failed flush of their own; if
 * none of them asks, whoever flushes first is. (As Linux tells a failed writeback to each open
 * file: errseq_t.)
 */
export class LegLosses {
  /** Who came by then is told; -Infinity: nothing was lost. */
  #atMs = -Infinity;
  #told = new WeakSet<Asker>();
  /** Called when fewer are to be told: somebody was, or has left before that. */
  fewerOwed: () => void = () => {};
  /** Nobody has heard of it yet. */
  isUntold = false;

  /** `untilMs`: who has come by then is to be told, now or some time later. */
  add(untilMs: number): void {
    this.#atMs = Math.max(this.#atMs, untilMs);
    this.#told = new WeakSet();
    this.isUntold = true;
  }

  /** A flush for `asker` is to fail. */
  isOwed(asker: Asker | null): boolean {
    if (asker === NOBODY) return false;
    if (this.isUntold) return true;
    return asker !== null && asker.sinceMs <= this.#atMs && !this.#told.has(asker);
  }

  tell(asker: Asker | null): void {
    this.isUntold = false;
    if (asker !== null) this.#told.add(asker);
    this.fewerOwed();
  }

  letGo(asker: Asker): void {
    if (this.isOwed(asker)) this.fewerOwed();
  }
}
