import { bytesEqual } from "../../../protocol/core/bytes.ts";
import { LABEL_REGION_BYTES } from "../../../protocol/core/limits.ts";
import { type Copy, copyBStart } from "../../../protocol/label/codec.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { SimWrite } from "../../../storage/io/sim_world.ts";
import type { Checker, Sim } from "../types.ts";

/** Labels of small pools are far shorter. */
const LOOKED_AT_BYTES = 64 * 1024;

/**
 * While one copy of a label is written, the other is durable: a power cut at this instant would
 * else leave two copies that no crash leaves, or none that is whole. Chance seldom cuts the power
 * within that millisecond.
 */
export class LabelOrderChecker implements Checker {
  readonly name = "label-order";
  readonly #sim: Pick<Sim, "violated">;
  /** Which process wrote it last, by the medium's path and the copy: one that died writes late. */
  readonly #writers = new Map<string, string>();
  /** Writes of copies that were looked at. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated">) {
    this.#sim = sim;
  }

  wrote({ medium, position, bytes, process }: SimWrite): void {
    const copy = copyAt(medium, position);
    if (copy === null || bytes === null) return;
    this.judged++;
    const other = copy === "A" ? "B" : "A";
    this.#writers.set(`${medium.path} ${copy}`, process);
    if (this.#writers.get(`${medium.path} ${other}`) !== process) return;
    if (isDurable(medium, other)) return;
    this.#sim.violated(
      this.name,
      `${process} wrote copy ${copy} of the label of ${medium.path} at byte ${position}, and copy ` +
        `${other} was not durable yet`,
    );
  }
}

function copyAt({ sizeBytes }: SimMedium, position: number): Copy | null {
  if (position < LABEL_REGION_BYTES) return "A";
  return position >= copyBStart(sizeBytes) ? "B" : null;
}

function isDurable(medium: SimMedium, copy: Copy): boolean {
  const start = copy === "A" ? 0 : copyBStart(medium.sizeBytes);
  const seen = new Uint8Array(LOOKED_AT_BYTES);
  const durable = new Uint8Array(LOOKED_AT_BYTES);
  medium.read(seen, start);
  medium.readDurable(durable, start);
  return bytesEqual(seen, durable);
}
