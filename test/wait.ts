/** How long a test waits for anything before it fails; generous, since machines differ. */
export const PATIENCE_MS = 30_000;

/** Asks until the answer is not null, undefined or false; fails after PATIENCE_MS. */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false> | T | null | undefined | false,
): Promise<T> {
  const endMs = performance.now() + PATIENCE_MS;
  let last: unknown;
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== null && answer !== undefined && answer !== false) return answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() > endMs) {
      throw new Error(`waited ${PATIENCE_MS} ms in vain for ${what}`, { cause: last });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
