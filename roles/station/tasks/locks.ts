import { assert } from "../../../protocol/core/assert.ts";

/** The kinds of objects in their order; those of one kind are ordered by their ids. */
const KINDS = ["node", "medium", "disk"];

/**
 * Locks on the objects that tasks change. All of a task's locks are taken in one global order and
 * given back in reverse, so that two tasks never wait for each other. First come, first served.
 */
export class Locks {
  readonly #queues = new Map<string, (() => void)[]>();

  /**
   * Resolves to the function that gives them back; rejects with the signal's reason. Whoever holds
   * some may take those that come after them.
   */
  async acquire(keys: readonly string[], signal: AbortSignal): Promise<() => void> {
    const held: string[] = [];
    const giveBack = () => {
      for (const key of held.splice(0).reverse()) this.#release(key);
    };
    try {
      for (const key of [...new Set(keys)].sort(compareLocks)) {
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

/** What one task has locked. */
export class HeldLocks {
  readonly #locks: Locks;
  readonly #signal: AbortSignal;
  readonly #giveBack: (() => void)[] = [];
  #keys: readonly string[] = [];

  constructor(locks: Locks, signal: AbortSignal) {
    this.#locks = locks;
    this.#signal = signal;
  }

  /** For the task's record: after a restart it begins with all of them. */
  get json(): string {
    return JSON.stringify(this.#keys.toSorted());
  }

  /** False when it has them all; what it takes has to come after what it has. */
  async take(keys: readonly string[]): Promise<boolean> {
    const more = keys.filter((key) => !this.#keys.includes(key)).sort(compareLocks);
    const [first] = more;
    if (first === undefined) return false;
    const last = this.#keys.at(-1);
    assert(last === undefined || compareLocks(last, first) < 0, "locks are taken in their order");
    this.#giveBack.push(await this.#locks.acquire(more, this.#signal));
    this.#keys = [...this.#keys, ...new Set(more)];
    return true;
  }

  giveBack(): void {
    for (const giveBack of this.#giveBack.splice(0).reverse()) giveBack();
  }
}

/** "disk:ID" and the like. */
export function compareLocks(a: string, b: string): number {
  const byKind = KINDS.indexOf(kindOf(a)) - KINDS.indexOf(kindOf(b));
  return byKind !== 0 ? byKind : a < b ? -1 : a > b ? 1 : 0;
}

function kindOf(key: string): string {
  return key.slice(0, key.indexOf(":"));
}
