import type { Clock } from "../../protocol/core/clock.ts";

/** Lets tasks wait for a state, not for a message: conditions are looked at on every change. */
export class Watch {
  readonly #clock: Clock;
  readonly #looks = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Something changed, or time went by. */
  notify(): void {
    for (const look of [...this.#looks]) look();
  }

  /**
   * Resolves to the first answer of `check` that is neither null nor undefined; to null after
   * `timeoutMs`. Rejects with what `check` throws, or with the signal's reason.
   */
  until<T>(
    check: () => T | null | undefined,
    options: { readonly signal?: AbortSignal; readonly timeoutMs?: number } = {},
  ): Promise<T | null> {
    const { signal, timeoutMs } = options;
    return new Promise((resolve, reject) => {
      const endMs = timeoutMs === undefined ? Infinity : this.#clock.nowMs() + timeoutMs;
      const end = (finish: () => void) => {
        this.#looks.delete(look);
        signal?.removeEventListener("abort", look);
        finish();
      };
      const look = () => {
        if (signal?.aborted) return end(() => reject(signal.reason));
        try {
          const found = check();
          if (found !== null && found !== undefined) return end(() => resolve(found));
          if (this.#clock.nowMs() >= endMs) end(() => resolve(null));
        } catch (error) {
          end(() => reject(error));
        }
      };
      this.#looks.add(look);
      signal?.addEventListener("abort", look);
      look();
    });
  }
}
