import type { Agreed } from "./request.ts";

/** What a negotiation has come to so far. */
export class Negotiated {
  /** The bytes come through TLS. */
  isSecure = false;
  structuredReplies = false;
  /** The export for which `base:allocation` was selected last; null: it was not. */
  allocationOf: string | null = null;

  /** TLS stands: nothing from before counts (STARTTLS in the protocol document). */
  secured(): void {
    this.isSecure = true;
    this.structuredReplies = false;
    this.allocationOf = null;
  }

  /** For the transmission with an export; contexts that were selected for another are void. */
  agreedFor(name: string): Agreed {
    return {
      structuredReplies: this.structuredReplies,
      allocation: this.allocationOf === name,
      extendedHeaders: false,
    };
  }
}
