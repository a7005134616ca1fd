import { randomBytes } from "node:crypto";
import type { Random } from "../../protocol/core/random.ts";

/** The kernel's random bytes. */
export function systemRandom(): Random {
  return { bytes: (count) => new Uint8Array(randomBytes(count)) };
}
