import type { StorageInfo, VolumeInfo } from "../../../protocol/config/bodies.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";

/**
 * A unit gives no number to two volumes, for as long as its state directory lives: over deletions,
 * and media that are wiped, moved, put back and adopted.
 */
export class NumbersChecker implements Checker {
  readonly name = "numbers";
  readonly #sim: Pick<Sim, "violated">;
  /** Which volume has had it, by unit and number. */
  readonly #given = new Map<string, string>();

  constructor(sim: Pick<Sim, "violated">) {
    this.#sim = sim;
  }

  workerAnswered({ process, call, result, error }: WorkerAnswer): void {
    if (error !== null) return;
    if (call === "volumeCreate") this.#check(process, result as VolumeInfo);
    if (call !== "unitStart" && call !== "storageInfo") return;
    for (const volume of (result as StorageInfo).volumes) this.#check(process, volume);
  }

  #check(unit: string, { id, number }: Pick<VolumeInfo, "id" | "number">): void {
    const key = `${unit} ${number}`;
    const before = this.#given.get(key);
    this.#given.set(key, id);
    if (before === undefined || before === id) return;
    this.#sim.violated(this.name, `${unit} gave number ${number} to ${id}, which was ${before}'s`);
  }
}
