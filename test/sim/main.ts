import { parseArgs } from "node:util";
import { runHours, runKept, runMany, runOne, runTree, seedsFrom, shrink } from "./command/runs.ts";
import { STORY_NAMES, type StoryName } from "./stories/table.ts";
import { FAULT_KINDS, type FaultKind } from "./scenario/plan.ts";

const USAGE = `Usage: deno task sim [WHAT] [HOW]

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
  --until-violated    ends with the first seed that fails
  --budget S          with --mutations: seeds for each, when none is recorded that shows it
  --record            with --mutations: writes down the seeds that showed them
`;

/** The command line of the simulator; the status is 0 when nothing was violated. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
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
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const options = {
    ...(values.only === undefined ? {} : { only: kindsOf(values.only) }),
    ...(values.without === undefined ? {} : { without: kindsOf(values.without) }),
    ...(values.story === undefined ? {} : { story: storyOf(values.story) }),
    ...(values.steps === undefined ? {} : { chaosSteps: numberOf(values.steps) }),
  };
  const jobs = numberOf(values.jobs ?? "1");
  if (values.mutations === true) {
    const { runMutations } = await import("./mutations/run.ts");
    return await runMutations({
      names: positionals,
      jobs,
      budget: numberOf(values.budget ?? "40"),
      record: values.record === true,
    });
  }
  if (values.shrink !== undefined) return await shrink(numberOf(values.shrink), options);
  if (values.seed !== undefined) {
    const around = values.around === undefined ? null : numberOf(values.around);
    return await runOne(numberOf(values.seed), { options, trace: values.trace ?? null, around });
  }
  if (values.hours !== undefined) return await runHours(Number(values.hours), { jobs, options });
  if (values.kept === true) return await runKept();
  if (values.seeds === undefined) return await runTree(jobs);
  const untilViolated = values["until-violated"] === true;
  return await runMany({ seeds: seedsOf(values.seeds), jobs, options, untilViolated });
}

function kindsOf(text: string): FaultKind[] {
  return text.split(",").filter((word) => word !== "").map((word) => {
    const kind = FAULT_KINDS.find((each) => each === word);
    if (kind === undefined) throw new Error(`No kind of fault is called "${word}". ${USAGE}`);
    return kind;
  });
}

function storyOf(text: string): StoryName {
  const story = STORY_NAMES.find((each) => each === text);
  if (story === undefined) throw new Error(`No story is called "${text}". ${USAGE}`);
  return story;
}

function numberOf(text: string): number {
  if (!/^\d{1,12}$/.test(text)) throw new Error(`"${text}" is no number. ${USAGE}`);
  return Number(text);
}

/** "3,10,100..120". */
function seedsOf(text: string): number[] {
  return text.split(",").flatMap((part) => {
    const [from, to = from] = part.split("..").map(numberOf);
    return seedsFrom(from!, to!);
  });
}

Deno.exit(await main());
