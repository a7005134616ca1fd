import { type Clock, wait } from "../../../protocol/core/clock.ts";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { CATALOG_RETRY_MS } from "../../../protocol/core/limits.ts";

/**
 * Runs what the catalog is to keep until it does. One that takes nothing now (a full disk) is
 * waited for: every task ends. Rejects with the signal's reason, or what is no DvsanError.
 */
export async function untilKept<T>(
  run: () => Promise<T>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (refusal) {
      if (!(refusal instanceof DvsanError)) throw refusal;
      await wait(clock, CATALOG_RETRY_MS, signal);
    }
  }
}
