import { editsOf, type Mutation, planted } from "./mutation.ts";
import { MUTATIONS } from "./table.ts";

export interface MutationOptions {
  /** Of those to plant; all when there are none. */
  readonly names: readonly string[];
  readonly jobs: number;
  /** Seeds for each. */
  readonly budget: number;
}

const ROOT = new URL("../../../", import.meta.url).pathname;
/** What a run needs of the tree. */
const PARTS = ["deno.json", "deno.lock", "main.ts", "protocol", "roles", "storage", "web", "test"];
/** Where seeds for a mutation begin when none is known. */
const FIRST_SEED = 1;

/** Plants each bug in a copy of the tree and looks for a seed that shows it. */
export async function runMutations(options: MutationOptions): Promise<number> {
  const { names, jobs, budget } = options;
  const unknown = names.filter((name) => MUTATIONS.every((mutation) => mutation.name !== name));
  if (unknown.length > 0) {
    console.log(`No mutation is called ${unknown.join(", ")}.`);
    return 2;
  }
  const wanted = MUTATIONS.filter(({ name }) => names.length === 0 || names.includes(name));
  // The tree may change while this runs.
  const base = Deno.makeTempDirSync({ prefix: "dvsan-mutations-" });
  try {
    for (const part of PARTS) copy(`${ROOT}${part}`, `${base}/${part}`);
    return await tryAll(wanted, { base, jobs, budget });
  } finally {
    Deno.removeSync(base, { recursive: true });
  }
}

async function tryAll(
  wanted: readonly Mutation[],
  o: { readonly base: string; readonly jobs: number; readonly budget: number },
): Promise<number> {
  const { base, jobs, budget } = o;
  const missed: string[] = [];
  const left = [...wanted];
  const work = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const how = await tryOne(next, { base, budget });
      if (!how.isCaught) missed.push(next.name);
      console.log(`${how.isCaught ? "caught" : "MISSED"} ${next.name}: ${how.text}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  console.log(`${wanted.length - missed.length} of ${wanted.length} mutations caught`);
  if (missed.length > 0) console.log(`missed: ${missed.join(", ")}`);
  return missed.length === 0 ? 0 : 1;
}

async function tryOne(
  mutation: Mutation,
  { base, budget }: { readonly base: string; readonly budget: number },
): Promise<{ readonly isCaught: boolean; readonly text: string }> {
  const directory = Deno.makeTempDirSync({ prefix: "dvsan-mutation-" });
  try {
    for (const part of PARTS) copy(`${base}/${part}`, `${directory}/${part}`);
    for (const edit of editsOf(mutation)) {
      const path = `${directory}/${edit.file}`;
      const result = planted(edit, Deno.readTextFileSync(path));
      if (typeof result === "string") throw new Error(`mutation "${mutation.name}": ${result}`);
      Deno.writeTextFileSync(path, result.source);
    }
    const { seed } = mutation;
    const ranges = seed === undefined ? [] : [`${seed}..${seed}`];
    ranges.push(`${FIRST_SEED}..${FIRST_SEED + budget - 1}`);
    for (const range of ranges) {
      const found = await firstViolation(directory, range, mutation);
      if (found === null) continue;
      const [text, caught] = found;
      // It must be the mutation that the seed shows, and nothing else.
      const without = await firstViolation(base, `${caught}..${caught}`, mutation);
      if (without === null) return { isCaught: true, text };
      return { isCaught: false, text: `it fails without the bug too: ${without[0]}` };
    }
    return { isCaught: false, text: mutation.breaks };
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** The report of the first seed of the range that fails, and the seed. */
async function firstViolation(
  root: string,
  range: string,
  { only, story }: Mutation,
): Promise<[text: string, seed: number] | null> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-prompt", "--quiet", "--no-check", "test/sim/main.ts"],
      ...["--seeds", range, "--until-violated"],
      ...(only === undefined ? [] : ["--only", only.join(",")]),
      ...(story === undefined ? [] : ["--story", story]),
    ],
    cwd: root,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const match = /^seed (\d+): VIOLATED .*$/m.exec(text);
  return match === null ? null : [match[0].slice(0, 300), Number(match[1])];
}

function copy(from: string, to: string): void {
  if (!Deno.statSync(from).isDirectory) return Deno.copyFileSync(from, to);
  Deno.mkdirSync(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory || /\.(ts|tsx|json|js|css)$/.test(name)) {
      copy(`${from}/${name}`, `${to}/${name}`);
    }
  }
}
