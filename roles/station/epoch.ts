import { z } from "zod";
import { hexOf } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { EPOCH_MAX, STATION_INSTANCES_KEPT } from "../../protocol/core/limits.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { Generation } from "../../protocol/config/bodies.ts";
import { isBelieved } from "./believable.ts";
import type { Catalog } from "./catalog/catalog.ts";
import { beginRecovered, recoveredReasons } from "./catalog/recovered.ts";
import type { Marks } from "./marks.ts";

const EPOCH_KEY = "epoch";
const INSTANCES_KEY = "instances";
const INSTANCE_BYTES = 16;
const UNMARKED = "The file station.marks was missing or damaged, which tells how new the catalog " +
  "has to be: it may be an older copy.";
const BEHIND = "The catalog is older than this station: what units hold goes first.";

/** Who ran with this catalog, or is known to have run with a copy of it; oldest first. */
const Instances = z.object({
  /** Of lower epochs nothing is known here. */
  floor: z.number().int().nonnegative(),
  list: z.array(z.object({ epoch: z.number().int().nonnegative(), instance: z.string() })),
});
type Instances = z.infer<typeof Instances>;

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
  #instances: Instances;

  private constructor(catalog: Catalog, marks: Marks, instance: string, value: number) {
    this.instance = instance;
    this.#catalog = catalog;
    this.#marks = marks;
    this.#value = value;
    this.#raised = value;
    this.#instances = parse(catalog.meta.get(INSTANCES_KEY)?.value ?? "");
  }

  /** `behind`: in words, when the catalog is older than one this station had before. */
  static async begin(options: {
    readonly catalog: Catalog;
    readonly marks: Marks;
    readonly random: Random;
  }): Promise<{ epoch: Epoch; behind: readonly string[] }> {
    const { catalog, marks, random } = options;
    const stored = storedEpoch(catalog);
    const instance = hexOf(random.bytes(INSTANCE_BYTES));
    const epoch = new Epoch(catalog, marks, instance, Math.max(stored, marks.epoch));
    const behind = behindWords(catalog, { marks, stored });
    // Nothing shows it any more once the epoch is written.
    await beginRecovered(catalog, behind);
    catalog.countFrom(marks.commits, (commits) => keepCount(marks, commits));
    await epoch.raiseAbove(Math.max(stored, marks.epoch));
    await epoch.remember(epoch.station);
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

  /**
   * Whether one that units obeyed is of a catalog that this one knows nothing of, though it is not
   * older: this one was restored after that one ran, or runs beside it. Epochs do not show that
   * where this one's is higher by its own starts.
   */
  isStrange({ epoch, instance }: { readonly epoch: number; readonly instance: string }): boolean {
    const { floor, list } = this.#instances;
    return instance !== "" && epoch >= floor && !list.some((one) => one.instance === instance);
  }

  /** Durable when it resolves: it is not strange any more. */
  async remember(seen: { readonly epoch: number; readonly instance: string }): Promise<void> {
    const { list, floor } = this.#instances;
    if (seen.instance === "" || list.some(({ instance }) => instance === seen.instance)) return;
    const all = [...list, { epoch: seen.epoch, instance: seen.instance }];
    const dropped = all.splice(0, Math.max(0, all.length - STATION_INSTANCES_KEPT));
    const none = list.length === 0 ? seen.epoch : 0;
    const next = {
      floor: Math.max(floor, none, ...dropped.map(({ epoch }) => epoch + 1)),
      list: all,
    };
    this.#instances = next;
    const put = { key: INSTANCES_KEY, value: JSON.stringify(next) };
    await this.#catalog.commit([{ table: "meta", put }]);
  }

  /** Goes above `seen`, durably, before anything is said under the new epoch. */
  async raiseAbove(seen: number): Promise<void> {
    if (seen < this.#value || !isBelieved(seen, this.#value)) return;
    // Several units may show theirs at once: what is written last must not be the lower one.
    const value = Math.max(seen + 1, this.#raised);
    this.#raised = value;
    await this.#catalog.commit([{ table: "meta", put: { key: EPOCH_KEY, value: String(value) } }]);
    this.#marks.raise({ epoch: value });
    this.#value = Math.max(this.#value, value);
  }
}

/** How this station's marks show that its catalog is not the newest, in sentences. */
function behindWords(
  catalog: Catalog,
  { marks, stored }: { readonly marks: Marks; readonly stored: number },
): string[] {
  if (marks.epoch > stored) return [BEHIND];
  if (marks.isLost && catalog.nodes.size > 0) return [UNMARKED];
  const lacks = marks.commits - catalog.commits;
  // One that was set aside has said why already.
  return lacks <= 0 || recoveredReasons(catalog) !== null ? [] : [
    `The catalog lacks the last of what was written to it (${lacks} commits): it was put back ` +
    "from a copy, or its write-ahead log (-wal) was damaged or deleted.",
  ];
}

/** Where the state directory takes nothing now, the next commit keeps it. */
function keepCount(marks: Marks, commits: number): void {
  try {
    marks.raise({ commits });
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
  }
}

/** One that no station comes to counts as none: units tell theirs. */
function storedEpoch(catalog: Catalog): number {
  const stored = Number(catalog.meta.get(EPOCH_KEY)?.value ?? "0");
  return Number.isInteger(stored) && stored >= 0 && stored < EPOCH_MAX ? stored : 0;
}

/** One that is damaged or of an earlier version tells nothing of before. */
function parse(text: string): Instances {
  try {
    return Instances.parse(JSON.parse(text));
  } catch {
    return { floor: 0, list: [] };
  }
}
