import { hexOf } from "../../protocol/core/bytes.ts";
import type { Random } from "../../protocol/core/random.ts";

const TOKEN_BYTES = 16;

/**
 * For each medium a token that stays for as long as all is there that was acknowledged: also over
 * restarts of the unit's process, but not of its machine, which `bootId` tells. It is random, so
 * that one whose record was lost is followed by one that never was before.
 *
 * It is kept by the control thread, some milliseconds after it changed: a medium that failed within
 * that time before its process was killed is not told by it.
 */
export class MediaContinuity {
  readonly #random: Random;
  readonly #tokens: Map<string, string>;

  /** `known`: by medium id, also of media that are away. */
  constructor(known: Readonly<Record<string, string>>, random: Random) {
    this.#random = random;
    this.#tokens = new Map(Object.entries(known));
  }

  /** The medium's token; a new one for a medium of which nothing is known. */
  of(mediumId: string): string {
    return this.#tokens.get(mediumId) ?? this.broken(mediumId);
  }

  /** Acknowledged writes to the medium may be gone; its token from now on. */
  broken(mediumId: string): string {
    const token = hexOf(this.#random.bytes(TOKEN_BYTES));
    this.#tokens.set(mediumId, token);
    return token;
  }

  record(): Record<string, string> {
    return Object.fromEntries(this.#tokens);
  }
}
