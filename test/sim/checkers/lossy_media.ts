/** Media that have lost something in writing back, which their kernels' caches may still show. */
export class LossyMedia {
  readonly #lossy = new Set<string>();
  /** When each was opened anew last. */
  readonly #openedAt = new Map<string, number>();

  failed(path: string): void {
    this.#lossy.add(path);
  }

  /** Its cache shows nothing any more that is not on it. */
  openedAnew(path: string, at: number): void {
    this.#lossy.delete(path);
    this.#openedAt.set(path, at);
  }

  /** Whether what was read of it on a request of the instant `askedAt` is on the medium itself. */
  isBackSince(path: string, askedAt: number): boolean {
    return !this.#lossy.has(path) && (this.#openedAt.get(path) ?? -1) < askedAt;
  }
}
