import { hexOf } from "../../protocol/core/bytes.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { Generation } from "../../protocol/config/bodies.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { Marks } from "./marks.ts";

const EPOCH_KEY = "epoch";
const INSTANCE_BYTES = 16;

/**
 * The station's place in the order of stations (control.md §4): an epoch, raised durably at every
 * start, and a random instance id. Generations are (epoch, counter), so a counter that starts anew
 * with each epoch never gives one twice.
 */
export class Epoch {
  readonly instance: string;
  readonly #catalog: Catalog;
  readonly #marks: Marks;
  #value: number;
  /** The highest one that is being made durable. */
  #raised: number;
  #counter = 0;

  private constructor(catalog: Catalog, marks: Marks, instance: string, value: number) {
    this.instance = instance;
    this.#catalog = catalog;
    this.#marks = marks;
    this.#value = value;
    this.#raised = value;
  }

  /** `behind`: the catalog is older than one this station had before. */
  static async begin(options: {
    readonly catalog: Catalog;
    readonly marks: Marks;
    readonly random: Random;
  }): Promise<{ epoch: Epoch; behind: boolean }> {
    const { catalog, marks, random } = options;
    const stored = Number(catalog.meta.get(EPOCH_KEY)?.value ?? "0");
    const instance = hexOf(random.bytes(INSTANCE_BYTES));
    const epoch = new Epoch(catalog, marks, instance, Math.max(stored, marks.epoch));
    const behind = marks.epoch > stored;
    await epoch.raiseAbove(Math.max(stored, marks.epoch));
    return { epoch, behind };
  }

  get value(): number {
    return this.#value;
  }

  /** What every message that changes a unit names. */
  get station(): { epoch: number; instance: string } {
    return { epoch: this.#value, instance: this.instance };
  }

  /** A generation above every one this station gave before. */
  nextGeneration(): Generation {
    return { epoch: this.#value, counter: ++this.#counter };
  }

  /** Goes above `seen`, durably, before anything is said under the new epoch. */
  async raiseAbove(seen: number): Promise<void> {
    if (seen < this.#value) return;
    // Several units may show theirs at once: what is written last must not be the lower one.
    const value = Math.max(seen + 1, this.#raised);
    this.#raised = value;
    await this.#catalog.commit([{ table: "meta", put: { key: EPOCH_KEY, value: String(value) } }]);
    this.#marks.raise({ epoch: value });
    this.#value = Math.max(this.#value, value);
  }
}
