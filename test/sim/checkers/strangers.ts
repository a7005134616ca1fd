import type { Endpoint } from "../../../protocol/config/link.ts";
import { decodePacket } from "../../../protocol/config/packet.ts";
import type { Checker, Sim } from "../types.ts";

/**
 * Addresses are hints: nothing sealed is ever sent to where only an attacker is, who replays what
 * others sent and has no key. An answer to a handshake may be, and a hint: they tell nothing.
 */
export class StrangersChecker implements Checker {
  readonly name = "strangers";
  readonly #sim: Pick<Sim, "violated">;
  readonly #attacker: string;

  constructor(sim: Pick<Sim, "violated">, attacker: string) {
    this.#sim = sim;
    this.#attacker = attacker;
  }

  sent({ packet, from, to }: { packet: Uint8Array; from: Endpoint; to: Endpoint }): void {
    if (to.address !== this.#attacker) return;
    const decoded = decodePacket(packet);
    if (typeof decoded === "string" || decoded.kind !== "sealed") return;
    this.#sim.violated(
      this.name,
      `${from.address} sent ${decoded.type} to ${to.address}, where only an attacker is: it took ` +
        "an address from a packet that proves nothing",
    );
  }
}
