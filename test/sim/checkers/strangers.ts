import type { Endpoint } from "../../../protocol/config/link.ts";
import { decodePacket } from "../../../protocol/config/packet.ts";
import type { Checker, Sim } from "../types.ts";

/**
 * Addresses are hints: nothing sealed is ever sent to where only an attacker is, who replays what
 * others sent and has no key. An answer to a handshake may be, and a hint: they tell nothing. And a
 * packet is taken once: whoever sends something sealed because of a copy has taken it again.
 */
export class StrangersChecker implements Checker {
  readonly name = "strangers";
  readonly #sim: Pick<Sim, "violated" | "step">;
  readonly #attacker: string;
  /** To whom a copy came, and in which event. */
  #copy: { readonly to: string; readonly step: number } | null = null;

  constructor(sim: Pick<Sim, "violated" | "step">, attacker: string) {
    this.#sim = sim;
    this.#attacker = attacker;
  }

  /** What was brought before comes once more, from anywhere. */
  copyComes({ to }: { readonly to: Endpoint }): void {
    this.#copy = { to: to.address, step: this.#sim.step };
  }

  sent({ packet, from, to }: { packet: Uint8Array; from: Endpoint; to: Endpoint }): void {
    const answersCopy = this.#copy?.step === this.#sim.step && this.#copy.to === from.address;
    if (to.address !== this.#attacker && !answersCopy) return;
    const decoded = decodePacket(packet);
    if (typeof decoded === "string" || decoded.kind !== "sealed") return;
    if (answersCopy) {
      const text =
        `${from.address} sent ${decoded.type} to ${to.address} because of a packet that ` +
        "it had taken before: somebody's copy";
      this.#sim.violated(this.name, text);
    }
    if (to.address !== this.#attacker) return;
    this.#sim.violated(
      this.name,
      `${from.address} sent ${decoded.type} to ${to.address}, where only an attacker is: it took ` +
        "an address from a packet that proves nothing",
    );
  }
}
