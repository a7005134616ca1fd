import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { REQUESTS_PER_PEER_MAX } from "../../protocol/core/limits.ts";

export interface WaitOptions {
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  /** No limit when absent. */
  readonly timeoutMs?: number;
  /** Made when the time is over. */
  readonly why?: () => DvsanError;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Those that wait for the next session. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  /** Resolves at release(); rejects when aborted, at fail(), or when the time is over. */
  wait(o: WaitOptions): Promise<void> {
    if (o.signal?.aborted) return Promise.reject(cancelled(o.signal));
    if (this.#waiting.size >= REQUESTS_PER_PEER_MAX) {
      const message = `Cannot wait for the station: ${REQUESTS_PER_PEER_MAX} requests do already.`;
      return Promise.reject(new DvsanError("limit", message));
    }
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        if (!this.#waiting.delete(waiter)) return;
        timer?.cancel();
        o.signal?.removeEventListener("abort", abort);
        settle();
      };
      const abort = () => finish(() => reject(cancelled(o.signal)));
      const waiter: Waiter = {
        resolve: () => finish(resolve),
        reject: (error) => finish(() => reject(error)),
      };
      const timer = o.timeoutMs === undefined
        ? null
        : o.clock.after(o.timeoutMs, () => finish(() => reject(o.why?.())));
      o.signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.add(waiter);
    });
  }

  release(): void {
    for (const waiter of [...this.#waiting]) waiter.resolve();
  }

  fail(error: DvsanError): void {
    for (const waiter of [...this.#waiting]) waiter.reject(error);
  }
}

function cancelled(signal: AbortSignal | undefined): DvsanError {
  const reason: unknown = signal?.reason;
  if (reason instanceof DvsanError) return reason;
  const message = "Waiting for the station was cancelled by the caller.";
  return new DvsanError("cancelled", message, { cause: reason });
}
