import type { Io } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";

/**
 * What `done` resolves to, in an object, or null when `limitMs` have passed before. Rejects as
 * `done` does. What is late goes on.
 */
export async function limited<T>(
  by: { io: Io; promises: IoPromises },
  options: { done: Promise<T>; limitMs: number },
): Promise<{ value: T } | null> {
  const timer = by.promises.submit((operation) => by.io.timer(operation, options.limitMs));
  try {
    const value = options.done.then((value) => ({ value }));
    return await Promise.race([value, timer.result.then(() => null)]);
  } finally {
    by.io.cancel(timer.operation);
  }
}
