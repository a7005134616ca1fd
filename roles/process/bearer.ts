import { createHash, timingSafeEqual } from "node:crypto";
import { fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { StateFiles } from "./context.ts";

const TOKEN_BYTES = 32;

/** Lets a reader of metrics in, and nobody else. */
export const METRICS_TOKEN_FILE = "metrics.token";

/** The token in a file of the state directory; a new one when the file is missing or empty. */
export function tokenIn(
  files: Pick<StateFiles, "read" | "write">,
  { name, random }: { readonly name: string; readonly random: Random },
): string {
  const found = fromUtf8(files.read(name) ?? new Uint8Array())?.trim();
  if (found !== undefined && found.length >= TOKEN_BYTES) return found;
  const token = hexOf(random.bytes(TOKEN_BYTES));
  files.write(name, utf8(`${token}\n`));
  return token;
}

/** Whether two tokens are one; neither length nor content shows in the time it takes. */
export function isSameToken(given: string, expected: string): boolean {
  const digestOf = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digestOf(given), digestOf(expected));
}
