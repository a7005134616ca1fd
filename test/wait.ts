/**
 * How long a test waits for anything before it fails: it only ends what hangs, so it is far more
 * than a slow machine takes that also stands still now and then.
 */
export const PATIENCE_MS = 300_000;

/** Asks until the answer is not null, undefined or false; fails after `patienceMs`. */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false> | T | null | undefined | false,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const endMs = performance.now() + patienceMs;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endMs) {
      throw new Error(`waited ${patienceMs} ms in vain for ${what}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
