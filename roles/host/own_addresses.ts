import { DvsanError } from "../../protocol/core/errors.ts";
import type { Machine } from "../process/context.ts";
import type { DataCalls } from "./host.ts";

/**
 * Tells the data worker when this machine loses an address: connections that came from it get no
 * answer any more, and no end either, so waiting for one would take the reply timeout.
 */
export class OwnAddresses {
  readonly #machine: Pick<Machine, "addresses">;
  readonly #worker: DataCalls;
  #last: readonly string[];

  constructor(machine: Pick<Machine, "addresses">, worker: DataCalls) {
    this.#machine = machine;
    this.#worker = worker;
    this.#last = machine.addresses();
  }

  /** Cheap; to be called often. */
  look(): void {
    const now = this.#machine.addresses();
    const addresses = this.#last.filter((address) => !now.includes(address));
    this.#last = now;
    if (addresses.length === 0) return;
    this.#worker.call("addressesGone", { addresses }).catch((error) => {
      // The worker is stopping.
      if (!(error instanceof DvsanError)) throw error;
    });
  }
}
