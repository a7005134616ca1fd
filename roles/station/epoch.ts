import { z } from "zod";
import { hexOf } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { EPOCH_MAX, STATION_INSTANCES_KEPT } from "../../protocol/core/limits.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { Generation } from "../../protocol/config/bodies.ts";
import type { CatalogMark } from "../../protocol/config/heartbeat_bodies.ts";
import { isBelieved } from "./believable.ts";
import type { Catalog, Change } from "./catalog/catalog.ts";
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
  /** What nodes have heard of runs up to this one was confirmed with what the catalog has. */
  confirmed: z.number().int().nonnegative().default(0),
  /** The highest epoch of which nodes have heard, and this catalog has not. */
  heard: z.number().int().nonnegative().default(0),
  list: z.array(z.object({
    epoch: z.number().int().nonnegative(),
    instance: z.string(),
    /** Of this catalog's own runs: how many commits it had at the end of that one. */
    commits: z.number().int().nonnegative().optional(),
  })),
});
type Instances = z.infer<typeof Instances>;
type Seen = Instances["list"][number];

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
  #parsed = { text: "", instances: parse("") };

  private constructor(catalog: Catalog, marks: Marks, instance: string, value: number) {
    this.instance = instance;
    this.#catalog = catalog;
    this.#marks = marks;
    this.#value = value;
    this.#raised = value;
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
    await epoch.#beginRun(stored);
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

  /** How far the catalog is, durably. */
  get mark(): CatalogMark {
    return { ...this.station, commits: this.#catalog.commits };
  }

  /**
   * Whether this catalog has lost what a node has heard of: later commits of a run than it had at
   * that run's end, or a run that it knows nothing of. Marks are told when they are durable, so no
   * crash can bring that about.
   */
  isBehind(heard: CatalogMark): boolean {
    if (heard.instance === this.instance) return heard.commits > this.#catalog.commits;
    const known = this.#instances.list.find(({ instance }) => instance === heard.instance);
    if (known === undefined) {
      return heard.epoch > this.#instances.confirmed && this.isStrange(heard);
    }
    return known.commits !== undefined && heard.commits > known.commits;
  }

  /**
   * Runs that this catalog has lost went as far as this epoch. Durable when it resolves. Who learns
   * it may be the one that is to give way: it goes above only when that is confirmed.
   */
  async heardOf(seen: number): Promise<void> {
    if (!isBelieved(seen, this.#value)) return;
    const now = this.#instances;
    await this.#keep(seen <= now.heard ? now : { ...now, heard: seen });
  }

  /** Before what differs is confirmed: all lost runs are then of lower epochs than this one. */
  async raiseAboveHeard(): Promise<void> {
    await this.raiseAbove(this.#instances.heard);
  }

  /** What differs is confirmed with this change: nodes that were away have heard of nothing new. */
  confirmed(): Change {
    const list = this.#instances.list.map(({ epoch, instance, commits }) =>
      instance === this.instance ? { epoch, instance, commits } : { epoch, instance }
    );
    return put({ ...this.#instances, confirmed: this.#value, list });
  }

  /** The run before this one is over: nothing that is committed from here on was told in it. */
  async #beginRun(stored: number): Promise<void> {
    const { commits } = this.#catalog;
    const { list } = this.#instances;
    const last = list.findLast((one) => one.commits !== undefined);
    // It may have gone above a higher epoch meanwhile.
    const ended = (one: Seen) => ({ ...one, epoch: Math.max(one.epoch, stored), commits });
    const all = list.map((one) => one === last ? ended(one) : one);
    const mine = { epoch: this.#value + 1, instance: this.instance, commits };
    await this.#keep(withRun({ ...this.#instances, list: all }, mine));
    await this.raiseAbove(this.#value);
  }

  /** Durable when it resolves: it is not strange any more. */
  async remember({ epoch, instance }: Seen): Promise<void> {
    if (instance === "") return;
    await this.#keep(withRun(this.#instances, { epoch, instance }));
  }

  /** As the catalog has them: what it refused it has no more. */
  get #instances(): Instances {
    const text = this.#catalog.meta.get(INSTANCES_KEY)?.value ?? "";
    if (this.#parsed.text !== text) this.#parsed = { text, instances: parse(text) };
    return this.#parsed.instances;
  }

  /**
   * What is there already may be what another call writes just now: with an empty commit behind it
   * that is durable, or refused here too.
   */
  async #keep(next: Instances): Promise<void> {
    await this.#catalog.commit(next === this.#instances ? [] : [put(next)]);
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

/** The same when it knows that one. Of those that have no room any more nothing is known. */
function withRun(instances: Instances, run: Seen): Instances {
  const { list, floor } = instances;
  if (list.some(({ instance }) => instance === run.instance)) return instances;
  const all = [...list, run];
  const dropped = all.splice(0, Math.max(0, all.length - STATION_INSTANCES_KEPT));
  const none = list.length === 0 ? run.epoch : 0;
  return {
    ...instances,
    floor: Math.max(floor, none, ...dropped.map(({ epoch }) => epoch + 1)),
    list: all,
  };
}

function put(next: Instances): Change {
  return { table: "meta", put: { key: INSTANCES_KEY, value: JSON.stringify(next) } };
}

/** One that is damaged or of an earlier version tells nothing of before. */
function parse(text: string): Instances {
  try {
    return Instances.parse(JSON.parse(text));
  } catch {
    return { floor: 0, confirmed: 0, heard: 0, list: [] };
  }
}
