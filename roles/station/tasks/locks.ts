/**
 * Locks on the objects that tasks change. All of a task's locks are taken in one global order and
 * given back in reverse, so that two tasks never wait for each other. First come, first served.
 */
export class Locks {
  readonly #queues = new Map<string, (() => void)[]>();

  /** Resolves to the function that gives them back; rejects with the signal's reason. */
  async acquire(keys: readonly string[], signal: AbortSignal): Promise<() => void> {
    const held: string[] = [];
    const giveBack = () => {
      for (const key of held.splice(0).reverse()) this.#release(key);
    };
    try {
      for (const key of [...new Set(keys)].sort()) {
        await this.#take(key, signal);
        held.push(key);
      }
    } catch (error) {
      giveBack();
      throw error;
    }
    return giveBack;
  }

  #take(key: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    const queue = this.#queues.get(key);
    if (queue === undefined) {
      this.#queues.set(key, []);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const turn = () => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const abort = () => {
        const at = queue.indexOf(turn);
        if (at >= 0) queue.splice(at, 1);
        reject(signal.reason);
      };
      queue.push(turn);
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #release(key: string): void {
    const next = this.#queues.get(key)?.shift();
    if (next === undefined) this.#queues.delete(key);
    else next();
  }
}
