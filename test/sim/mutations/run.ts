import type { Mutation } from "./mutation.ts";
import { type Catch, RECORDED, withCatches } from "./recorded.ts";
import { MUTATIONS } from "./table.ts";
import { TreeCopy } from "./tree_copy.ts";

export interface MutationOptions {
  /** Of those to plant; all when there are none. */
  readonly names: readonly string[];
  readonly jobs: number;
  /** Seeds for each, when the one that is recorded does not show it any more. */
  readonly budget: number;
  /** Writes down what caught them. */
  readonly record: boolean;
}

/** A violation as a run reports it. */
interface Violation extends Catch {
  readonly text: string;
}

/** What a range of seeds has shown. */
interface Shown {
  readonly violation: Violation | null;
  /** Why nobody knows whether all of them hold; null when they do, or one does not. */
  readonly trouble: string | null;
}

/** Plants each bug in a copy of the tree and looks for a seed that shows it. */
export async function runMutations(options: MutationOptions): Promise<number> {
  const { names, jobs, record } = options;
  const unknown = names.filter((name) => MUTATIONS.every((mutation) => mutation.name !== name));
  if (unknown.length > 0) {
    console.log(`No mutation is called ${unknown.join(", ")}.`);
    return 2;
  }
  const wanted = MUTATIONS.filter(({ name }) => names.length === 0 || names.includes(name));
  const search = new Search(options.budget);
  try {
    const caught = new Map<string, Catch>();
    await search.all(wanted, {
      jobs,
      caught: ({ name }, found) => {
        caught.set(name, found);
        // One by one: a search that is broken off has found something.
        if (record) writeCatches(caught);
      },
    });
    const missed = wanted.filter(({ name }) => !caught.has(name));
    if (missed.length > 0) console.log(`missed: ${missed.map(({ name }) => name).join(", ")}`);
    console.log(`${caught.size} of ${wanted.length} caught`);
    return missed.length === 0 ? 0 : 1;
  } finally {
    search.end();
  }
}

function writeCatches(caught: ReadonlyMap<string, Catch>): void {
  const names = MUTATIONS.map(({ name }) => name);
  const path = new URL("./recorded.json", import.meta.url);
  Deno.writeTextFileSync(path, withCatches(RECORDED, { caught, names }));
}

/** Looks for seeds, in copies of the tree. */
class Search {
  readonly #budget: number;
  readonly #sound = TreeCopy.ofTree();
  readonly #copies: TreeCopy[] = [this.#sound];
  /** What runs show without any bug, by their arguments. */
  readonly #without = new Map<string, Promise<Shown>>();

  constructor(budget: number) {
    this.#budget = budget;
  }

  /** Says for each what caught it, or that nothing did. */
  async all(
    wanted: readonly Mutation[],
    o: {
      readonly jobs: number;
      readonly caught: (mutation: Mutation, found: Catch) => void;
    },
  ): Promise<void> {
    const left = [...wanted];
    const work = async () => {
      const copy = this.#sound.another();
      this.#copies.push(copy);
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const mutation = next;
        const found = await copy.planted(mutation, () => this.#one(mutation, copy));
        if (found !== null) o.caught(mutation, found);
        console.log(wordsOf(mutation, found));
      }
    };
    await Promise.all(Array.from({ length: o.jobs }, work));
  }

  end(): void {
    for (const copy of this.#copies) copy.remove();
  }

  /** The first seed that fails with the bug and holds without it: it is the bug that it shows. */
  async #one(mutation: Mutation, copy: TreeCopy): Promise<Violation | null> {
    const recorded = RECORDED[mutation.name]?.seed;
    const ranges = recorded === undefined ? [] : [{ from: recorded, to: recorded }];
    ranges.push({ from: 1, to: this.#budget });
    for (const { from, to } of ranges) {
      for (let next = from; next <= to;) {
        const { violation: found, trouble } = await shownBy(copy, { from: next, to, ...mutation });
        if (trouble !== null) console.log(`with ${mutation.name}: ${trouble}`);
        if (found === null) break;
        next = found.seed + 1;
        const without = await this.#withoutBug(mutation, found.seed);
        const why = without.violation?.text ?? without.trouble;
        if (why === null) return found;
        console.log(`seed ${found.seed} is no use for ${mutation.name}, without it: ${why}`);
      }
    }
    return null;
  }

  #withoutBug(mutation: Mutation, seed: number): Promise<Shown> {
    const { only, story } = mutation;
    const key = JSON.stringify([seed, only, story]);
    const known = this.#without.get(key) ??
      shownBy(this.#sound, { from: seed, to: seed, ...mutation });
    this.#without.set(key, known);
    return known;
  }
}

/** Runs a range of seeds until the first one that fails. */
async function shownBy(
  copy: TreeCopy,
  { from, to, only, story }:
    & { readonly from: number; readonly to: number }
    & Pick<Mutation, "only" | "story">,
): Promise<Shown> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-prompt", "--quiet", "--no-check", "test/sim/main.ts"],
      ...["--seeds", `${from}..${to}`, "--until-violated"],
      ...(only === undefined ? [] : ["--only", only.join(",")]),
      ...(story === undefined ? [] : ["--story", story]),
    ],
    cwd: copy.path,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const output = new TextDecoder().decode(stdout);
  const match = /^seed (\d+): VIOLATED (\S+) at event (\d+): (.*)$/m.exec(output);
  if (match !== null) {
    const [, seed, checker, event, words] = match;
    const text = words!.slice(0, 200);
    const violation = { seed: Number(seed), checker: checker!, event: Number(event), text };
    return { violation, trouble: null };
  }
  const isWhole = output.includes(`seed ${to}: held.`);
  const trouble = `seeds ${from}..${to} did not run to their end: ${output.slice(-500)}`;
  return { violation: null, trouble: isWhole ? null : trouble };
}

function wordsOf({ name, breaks, only, story }: Mutation, found: Violation | null): string {
  if (found === null) return `MISSED ${name}: ${breaks}`;
  const { seed, checker, event, text } = found;
  const how = story === undefined ? `faults ${only?.join(",") ?? "by chance"}` : `story ${story}`;
  return `caught ${name}: seed ${seed}, ${how}, ${checker} at event ${event}: ${text}`;
}
