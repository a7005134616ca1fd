import { DvsanError } from "../../../protocol/core/errors.ts";
import { type Outcome, type RunOptions, runSeed } from "../scenario/run.ts";
import type { PlanOptions } from "../scenario/plan.ts";
import { KEPT_SEEDS } from "./kept_seeds.ts";
import { seedsOfTree } from "./tree.ts";

const LINES_AFTER_FAILURE = 60;
const LINES_AROUND = 40;
/** Seeds that one process runs before it makes place for a fresh one. */
const SEEDS_PER_PROCESS = 50;

interface OneOptions {
  readonly options: PlanOptions;
  /** A file for the whole trace. */
  readonly trace: string | null;
  /** An event to show with its neighbours. */
  readonly around: number | null;
}

/** Runs a seed twice and compares; tells how it ended, in words. */
export async function runOne(seed: number, o: OneOptions): Promise<number> {
  if (o.trace !== null) requireWritable(o.trace);
  const first = await runSeed(seed, { ...o.options, keepTrace: true });
  const second = await runSeed(seed, o.options);
  if (o.trace !== null) Deno.writeTextFileSync(o.trace, first.lines.join("\n") + "\n");
  const about = o.around ?? first.violation?.step ?? null;
  if (about !== null) {
    const at = first.lines.findIndex((line) => line.startsWith(`${about} `));
    const end = o.around === null ? first.lines.length : at + LINES_AROUND;
    const from = o.around === null ? end - LINES_AFTER_FAILURE : at - LINES_AROUND;
    console.log(first.lines.slice(Math.max(0, from), end).join("\n"));
  }
  report(first, o.options);
  const same = first.hash === second.hash && first.steps === second.steps;
  console.log(
    same
      ? `the second run was the same: trace ${second.hash}`
      : `THE SECOND RUN DIFFERED: trace ${second.hash} after ${second.steps} events`,
  );
  return first.violation === null && same ? 0 : 1;
}

/** Before a run, and not after it. */
function requireWritable(path: string): void {
  try {
    Deno.writeTextFileSync(path, "");
  } catch (error) {
    const why = error instanceof Error ? error.message : `${error}`;
    throw new DvsanError("usage", `Cannot write the trace: ${why}. Name another file.`);
  }
}

export interface ManyOptions {
  readonly seeds: readonly number[];
  readonly jobs: number;
  readonly options: PlanOptions;
  readonly untilViolated?: boolean;
}

/** Each seed once; with several jobs, in processes of their own. */
export async function runMany(o: ManyOptions): Promise<number> {
  if (o.jobs === 1 && o.seeds.length <= SEEDS_PER_PROCESS) return await runHere(o);
  const share = Math.min(SEEDS_PER_PROCESS, Math.ceil(o.seeds.length / o.jobs / 4));
  const left = [...o.seeds];
  return await inJobs(o.jobs, async (status) => {
    if (left.length === 0 || (o.untilViolated === true && status !== 0)) return null;
    return await runThere(seedFlags(left.splice(0, share), o.options));
  });
}

/** A night's run: other seeds every night, in fresh processes, so that nothing grows. */
export async function runHours(
  hours: number,
  { jobs, options }: { readonly jobs: number; readonly options: PlanOptions },
): Promise<number> {
  const endMs = Date.now() + hours * 3_600_000;
  let next = nightFrom(Date.now());
  return await inJobs(jobs, async () => {
    if (Date.now() >= endMs) return null;
    const from = next;
    next += SEEDS_PER_PROCESS;
    return await runThere(seedFlags(seedsFrom(from, next - 1), options));
  });
}

/** The first seed of a night that begins at `wallMs`: more in a second than can run in one. */
export function nightFrom(wallMs: number): number {
  return Math.floor(wallMs / 1000) * 100;
}

/** Runs `work` again and again in so many places at a time, until it answers null. */
async function inJobs(
  jobs: number,
  work: (status: number) => Promise<number | null>,
): Promise<number> {
  let status = 0;
  const one = async () => {
    for (;;) {
      const ended = await work(status);
      if (ended === null) return;
      status = Math.max(status, ended);
    }
  };
  await Promise.all(Array.from({ length: jobs }, one));
  return status;
}

/** The seeds of this very tree, and every seed that ever found a bug. */
export async function runTree(jobs: number): Promise<number> {
  const { from, to } = seedsOfTree();
  const seeds = seedsFrom(from, to);
  const share = Math.ceil(seeds.length / jobs / 4);
  const processes = [["--kept"]];
  while (seeds.length > 0) processes.push(seedFlags(seeds.splice(0, share), {}));
  return await inJobs(jobs, async () => {
    const next = processes.shift();
    return next === undefined ? null : await runThere(next);
  });
}

/** Every seed that ever found a bug, with the faults that it needs. */
export async function runKept(): Promise<number> {
  let status = 0;
  for (const { seed, only } of KEPT_SEEDS) {
    status = Math.max(status, await runHere({ seeds: [seed], jobs: 1, options: { only } }));
  }
  return status;
}

/** Leaves out what a failure does not need. */
export async function shrink(seed: number, options: PlanOptions): Promise<number> {
  const whole = await runSeed(seed, options);
  if (whole.violation === null) {
    console.log(`Seed ${seed} does not fail.`);
    return 0;
  }
  const played = options.story === undefined ? {} : { story: options.story };
  const fails = async (attempt: RunOptions) =>
    (await runSeed(seed, { ...played, ...attempt })).violation?.checker ===
      whole.violation?.checker;
  let only = [...whole.plan.faults];
  let { chaosSteps } = whole.plan;
  for (const kind of [...only]) {
    const fewer = only.filter((each) => each !== kind);
    if (await fails({ only: fewer, chaosSteps })) only = fewer;
  }
  while (chaosSteps > 100 && await fails({ only, chaosSteps: Math.floor(chaosSteps / 2) })) {
    chaosSteps = Math.floor(chaosSteps / 2);
  }
  const flags = flagsOf({ only, chaosSteps, ...played });
  console.log(`deno task sim --seed ${seed} ${flags.join(" ")}`);
  return 1;
}

export function seedsFrom(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function runHere({ seeds, options, untilViolated }: ManyOptions): Promise<number> {
  let status = 0;
  for (const seed of seeds) {
    const outcome = await runSeed(seed, options);
    report(outcome, options);
    if (outcome.violation === null) continue;
    status = 1;
    if (untilViolated === true) break;
  }
  return status;
}

/** In a process of its own, which is told what to run. */
async function runThere(what: readonly string[]): Promise<number> {
  const { code, signal } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-prompt", "--quiet", "--no-check"],
      new URL("../main.ts", import.meta.url).pathname,
      ...what,
    ],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  if (signal !== null) {
    console.log(`${signal} ended the process of ${what.join(" ")}: not all of them ran`);
  }
  return code;
}

function seedFlags(seeds: readonly number[], options: PlanOptions): string[] {
  return ["--seeds", seeds.join(","), ...flagsOf(options)];
}

/** What the command line says for these options: without them a seed is another run. */
export function flagsOf({ only, without, story, chaosSteps }: PlanOptions): string[] {
  const list = (name: string, of: readonly string[] | undefined) =>
    of === undefined ? [] : [`--${name}`, of.join(",") || ","];
  return [
    ...list("only", only),
    ...list("without", without),
    ...(story === undefined ? [] : ["--story", story]),
    ...(chaosSteps === undefined ? [] : ["--steps", `${chaosSteps}`]),
  ];
}

function report(outcome: Outcome, options: PlanOptions): void {
  const { seed, plan, steps, atMs, hash, violation } = outcome;
  const { units, hosts, faults, story } = plan;
  const run = `${steps} events, ${Math.round(atMs / 1000)} s, trace ${hash}, ` +
    `${units} unit(s), ${hosts} host(s), faults: ${faults.join(" ") || "none"}${
      story === null ? "" : `, story: ${story}`
    }`;
  if (violation === null) return console.log(`seed ${seed}: held. ${run}`);
  const again = ["--seed", `${seed}`, ...flagsOf(options), "--trace", "FILE"].join(" ");
  console.log(
    `seed ${seed}: VIOLATED ${violation.checker} at event ${violation.step}: ` +
      `${violation.text}\n  ${run}\n  again: deno task sim ${again}`,
  );
}
