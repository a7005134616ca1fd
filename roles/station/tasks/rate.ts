const WINDOW_MS = 1000;

/** How fast a task gets on, measured over a second at least. */
export class Rate {
  /** Bytes a second; null while that is not known. */
  bytesPerSecond: number | null = null;
  leftMs: number | null = null;
  #mark: { readonly atMs: number; readonly bytes: number } | null = null;

  moved(now: { readonly atMs: number; readonly done: number; readonly total: number }): void {
    const { atMs, done, total } = now;
    this.#mark ??= { atMs, bytes: done };
    const spentMs = atMs - this.#mark.atMs;
    if (spentMs < WINDOW_MS) return;
    const rate = Math.max(0, (done - this.#mark.bytes) * 1000 / spentMs);
    this.bytesPerSecond = rate;
    this.leftMs = rate > 0 ? (total - done) * 1000 / rate : null;
    this.#mark = { atMs, bytes: done };
  }
}
