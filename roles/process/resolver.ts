import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { DvsanError } from "../../protocol/core/errors.ts";

/**
 * Addresses of a host name, in the system's order. A literal address passes through. DvsanError
 * "unavailable" when the name has none now: the caller tries again, as names move.
 */
export async function resolve(host: string, signal?: AbortSignal): Promise<string[]> {
  signal?.throwIfAborted();
  if (isIP(host) !== 0) return [host];
  let found: readonly { readonly address: string }[];
  try {
    found = await lookup(host, { all: true });
  } catch (error) {
    const message = `Cannot find the address of "${host}": the name is not known now. ` +
      "Check its spelling and this machine's name service.";
    throw new DvsanError("unavailable", message, { cause: error });
  }
  signal?.throwIfAborted();
  return [...new Set(found.map((entry) => entry.address))];
}
