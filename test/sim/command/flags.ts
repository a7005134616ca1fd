import { parseArgs } from "node:util";
import { DvsanError } from "../../../protocol/core/errors.ts";
import { FAULT_KINDS, type FaultKind, type PlanOptions } from "../scenario/plan.ts";
import { STORY_NAMES, type StoryName } from "../stories/table.ts";
import { seedsFrom } from "./runs.ts";

export const USAGE = `Usage: deno task sim [WHAT] [HOW]

What to run (the seeds of this tree when nothing is said, as the tests do):
  --seed N            one seed, twice; the two traces must be the same
  --seeds 3,10..20    many seeds, once each
  --kept              the seeds that found a bug, each with the faults that it needs
  --hours H           fresh seeds until the time is over: a night's run
  --shrink N          fewer kinds of faults and fewer events for a seed that fails
  --mutations [NAME]  plants bugs, one at a time, and shows that each one is caught

How:
  --jobs J            processes at a time (1)
  --only KIND,…       these kinds of faults and no others
  --story NAME        a story without chance in place of faults: ${STORY_NAMES.join(", ")}
  --without KIND,…    not these kinds: ${FAULT_KINDS.join(", ")}
  --steps S           events with faults
  --trace FILE        writes the whole trace of --seed to a file
  --around STEP       prints what happened around an event of --seed
  --until-violated    ends --seeds with the first seed that fails
  --budget S          with --mutations: seeds for each, when none is recorded that shows it
  --record            with --mutations: writes down the seeds that showed them

Ends with 0 when nothing was violated, with 1 when something was, with 2 when it cannot run so.
`;

const SEEDS_MAX = 1_000_000;
const JOBS_MAX = 256;
const HOURS_MAX = 24 * 365;

const FLAGS = {
  seed: { type: "string" },
  seeds: { type: "string" },
  kept: { type: "boolean" },
  hours: { type: "string" },
  shrink: { type: "string" },
  mutations: { type: "boolean" },
  jobs: { type: "string" },
  only: { type: "string" },
  without: { type: "string" },
  story: { type: "string" },
  steps: { type: "string" },
  trace: { type: "string" },
  around: { type: "string" },
  budget: { type: "string" },
  record: { type: "boolean" },
  "until-violated": { type: "boolean" },
  help: { type: "boolean" },
} as const;

/** What to run. */
export type What =
  | { readonly kind: "help" | "kept" | "tree" }
  | {
    readonly kind: "seed";
    readonly seed: number;
    readonly trace: string | null;
    readonly around: number | null;
  }
  | { readonly kind: "seeds"; readonly seeds: readonly number[]; readonly untilViolated: boolean }
  | { readonly kind: "hours"; readonly hours: number }
  | { readonly kind: "shrink"; readonly seed: number }
  | {
    readonly kind: "mutations";
    readonly names: readonly string[];
    readonly budget: number;
    readonly record: boolean;
  };

export interface Command {
  readonly what: What;
  readonly jobs: number;
  readonly options: PlanOptions;
}

const PLAN = ["only", "without", "story", "steps"];
/** The flags that each of them takes. */
const TAKES: Readonly<Record<Exclude<What["kind"], "help">, readonly string[]>> = {
  seed: [...PLAN, "trace", "around"],
  seeds: [...PLAN, "jobs", "until-violated"],
  kept: [],
  hours: [...PLAN, "jobs"],
  shrink: PLAN,
  mutations: ["jobs", "budget", "record"],
  tree: ["jobs"],
};

/** Reads a command line. DvsanError "usage" of whatever would not do what it says. */
export function readCommand(args: readonly string[]): Command {
  const { values, positionals } = parsed(args);
  const given = Object.keys(values);
  const kinds = (["seed", "seeds", "kept", "hours", "shrink", "mutations"] as const)
    .filter((kind) => given.includes(kind));
  if (values.help === true) return { what: { kind: "help" }, jobs: 1, options: {} };
  if (kinds.length > 1) throw usage(`--${kinds[0]} and --${kinds[1]} are two things to run.`);
  const kind = kinds[0] ?? "tree";
  const what = kind === "tree" ? "the seeds of this tree" : `--${kind}`;
  const astray = given.find((flag) => flag !== kind && !TAKES[kind].includes(flag));
  if (astray !== undefined) throw usage(`--${astray} says nothing about ${what}.`);
  if (kind !== "mutations" && positionals.length > 0) {
    throw usage(`"${positionals[0]}" says nothing about ${what}.`);
  }
  const { only, without, story, steps } = values;
  return {
    what: whatOf(kind, values, positionals),
    jobs: numberOf("jobs", values.jobs ?? "1", { min: 1, max: JOBS_MAX }),
    options: {
      ...(only === undefined ? {} : { only: kindsOf(only) }),
      ...(without === undefined ? {} : { without: kindsOf(without) }),
      ...(story === undefined ? {} : { story: storyOf(story) }),
      ...(steps === undefined ? {} : { chaosSteps: numberOf("steps", steps, { min: 1 }) }),
    },
  };
}

type Values = ReturnType<typeof parsed>["values"];

function parsed(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], allowPositionals: true, options: FLAGS });
  } catch (error) {
    throw usage(error instanceof Error ? error.message : `${error}`);
  }
}

function whatOf(
  kind: Exclude<What["kind"], "help">,
  values: Values,
  names: readonly string[],
): What {
  switch (kind) {
    case "kept":
    case "tree":
      return { kind };
    case "seed": {
      const { trace = null, around } = values;
      const step = around === undefined ? null : numberOf("around", around);
      return { kind, seed: numberOf("seed", values.seed!), trace, around: step };
    }
    case "seeds":
      return {
        kind,
        seeds: seedsOf(values.seeds!),
        untilViolated: values["until-violated"] === true,
      };
    case "hours":
      return { kind, hours: hoursOf(values.hours!) };
    case "shrink":
      return { kind, seed: numberOf("shrink", values.shrink!) };
    case "mutations": {
      const budget = numberOf("budget", values.budget ?? "40", { min: 1, max: SEEDS_MAX });
      return { kind, names, budget, record: values.record === true };
    }
  }
}

function kindsOf(text: string): FaultKind[] {
  return text.split(",").filter((word) => word !== "").map((word) => {
    const kind = FAULT_KINDS.find((each) => each === word);
    if (kind === undefined) throw usage(`No kind of fault is called "${word}".`);
    return kind;
  });
}

function storyOf(text: string): StoryName {
  const story = STORY_NAMES.find((each) => each === text);
  if (story === undefined) throw usage(`No story is called "${text}".`);
  return story;
}

function numberOf(
  flag: string,
  text: string,
  { min = 0, max = 999_999_999_999 }: { readonly min?: number; readonly max?: number } = {},
): number {
  const number = /^\d{1,12}$/.test(text) ? Number(text) : NaN;
  if (number >= min && number <= max) return number;
  throw usage(`--${flag} ${text}: it takes a number from ${min} to ${max}.`);
}

function hoursOf(text: string): number {
  const hours = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN;
  if (hours > 0 && hours <= HOURS_MAX) return hours;
  throw usage(`--hours ${text}: it takes hours, such as 8 or 0.5, up to ${HOURS_MAX}.`);
}

/** "3,10,100..120". */
function seedsOf(text: string): number[] {
  const seeds: number[] = [];
  for (const part of text.split(",")) {
    const [from, to, ...more] = part.split("..").map((word) => numberOf("seeds", word));
    if (more.length > 0) throw usage(`--seeds ${part}: a range is FROM..TO.`);
    const last = to ?? from!;
    if (last < from!) throw usage(`--seeds ${part}: no seed is in this range.`);
    if (seeds.length + last - from! >= SEEDS_MAX) {
      throw usage(`--seeds ${text.slice(0, 80)}: at most ${SEEDS_MAX} at once; or --hours.`);
    }
    for (const seed of seedsFrom(from!, last)) seeds.push(seed);
  }
  return seeds;
}

function usage(message: string): DvsanError {
  return new DvsanError("usage", `${message} See: deno task sim --help`);
}
