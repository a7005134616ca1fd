import type { Endpoint } from "../../../protocol/config/link.ts";
import { decodePacket, type PacketType } from "../../../protocol/config/packet.ts";
import type { Checker, Sim } from "../types.ts";

/** Orders that take something away from whoever has it. */
const DESTROYS: ReadonlySet<PacketType> = new Set<PacketType>(["ACCESS_REVOKE", "VOLUME_DELETE"]);

export interface RecoveredOptions {
  /** "station" or "twin1". */
  readonly machineAt: (address: string) => string;
  /** The catalog that a station has just begun to run with says that it is recovered. */
  readonly isKept: (station: string) => boolean;
}

/**
 * A station that knows that its catalog is behind sends no order to fence or to delete before an
 * operator has confirmed; one that has found a later one with its key sends none any more. It looks
 * at what leaves the station, as what left before may arrive late.
 */
export class RecoveredChecker implements Checker {
  readonly name = "recovered";
  readonly #sim: Pick<Sim, "violated" | "step">;
  readonly #o: RecoveredOptions;
  /** Why a station may take nothing away, in words. */
  readonly #withheld = new Map<string, string>();
  /** Orders that were looked at. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated" | "step">, options: RecoveredOptions) {
    this.#sim = sim;
    this.#o = options;
  }

  happened({ process, kind }: { readonly process: string; readonly kind: string }): void {
    const station = process.split("#")[0]!;
    const words = `${process} said ${kind} at step ${this.#sim.step}`;
    switch (kind) {
      case "station.started":
        if (this.#o.isKept(station)) this.#withheld.set(station, `${process} began as recovered`);
        else this.#withheld.delete(station);
        return;
      case "station.recovered":
      case "station.superseded":
        this.#withheld.set(station, words);
        return;
      case "station.confirmed":
        this.#withheld.delete(station);
    }
  }

  sent({ packet, from }: { readonly packet: Uint8Array; readonly from: Endpoint }): void {
    const decoded = decodePacket(packet);
    if (typeof decoded === "string" || decoded.kind !== "sealed") return;
    const { type, correlation } = decoded;
    if (!DESTROYS.has(type)) return;
    this.judged++;
    const station = this.#o.machineAt(from.address);
    const why = this.#withheld.get(station);
    if (why === undefined) return;
    this.#sim.violated(this.name, `${station} sent ${type} c${correlation}, although ${why}`);
  }
}
