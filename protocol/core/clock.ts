/** Time, handed in. Only roles/process/ makes the real one; tests and the simulator make others. */
export interface Clock {
  /** Monotonic milliseconds from an arbitrary start. Every deadline uses this one. */
  nowMs(): number;
  /** Milliseconds since 1970, for people's eyes only: it may jump and be decades off. */
  wallMs(): number;
  /** Runs `run` once after `delayMs`, unless cancelled. Never runs it inside this call. */
  after(delayMs: number, run: () => void): Timer;
}

export interface Timer {
  /** Idempotent; harmless after the timer ran. */
  cancel(): void;
}

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function wait(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}
