import { createHash } from "node:crypto";
import { hexOf, utf8 } from "../../protocol/core/bytes.ts";
import { COUNTER_NAME_BYTES } from "../../protocol/core/limits.ts";

const DIGEST_BYTES = 6;
/** Of the beginning of a name that is too long; the end, where paths differ, has the rest. */
const HEAD_BYTES = 96;

/**
 * A name as its place in the counters holds it: whole, or its beginning, a digest of it and its
 * end. By the digest two long names stay two, since metrics name things by what is left.
 */
export function counterName(name: string): Uint8Array {
  const bytes = utf8(name);
  if (bytes.length <= COUNTER_NAME_BYTES) return bytes;
  const digest = createHash("sha256").update(bytes).digest().subarray(0, DIGEST_BYTES);
  const middle = `…${hexOf(digest)}…`;
  const tailBytes = COUNTER_NAME_BYTES - HEAD_BYTES - utf8(middle).length;
  const head = wholeText(bytes.subarray(0, HEAD_BYTES));
  return utf8(head + middle + wholeText(bytes.subarray(bytes.length - tailBytes)));
}

/** Without the characters that were cut. */
function wholeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes).replace(/^\ufffd+|\ufffd+$/g, "");
}
