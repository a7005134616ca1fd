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
  report(first);
  const same = first.hash === second.hash && first.steps === second.steps;
  console.log(
    same
      ? `the second run was the same: trace ${second.hash}`
      : `THE SECOND RUN DIFFERED: trace ${second.hash} after ${second.steps} events`,
  );
  return first.violation === null && same ? 0 : 1;
}

/** Fresh processes, so that a night's run does not grow; the output is theirs. */
export async function runMany(o: {
  readonly range: { readonly from: number; readonly to: number } | null;
  readonly hours: number | null;
  readonly jobs: number;
  readonly options: PlanOptions;
  readonly untilViolated?: boolean;
}): Promise<number> {
  const endMs = o.hours === null ? Infinity : Date.now() + o.hours * 3_600_000;
  // Other seeds every night.
  let next = o.range?.from ?? Math.floor(Date.now() / 1000) * 1000;
  const last = o.range?.to ?? Infinity;
  if (o.jobs === 1 && last - next < SEEDS_PER_PROCESS) {
    return await runHere(seedsFrom(next, last), o.options, o.untilViolated);
  }
  let status = 0;
  const worker = async () => {
    while (next <= last && Date.now() < endMs && !(o.untilViolated === true && status !== 0)) {
      const share = Math.ceil((Math.min(last, next + 10_000) - next + 1) / o.jobs);
      const from = next;
      next += Math.min(SEEDS_PER_PROCESS, share);
      const to = Math.min(last, next - 1);
      if (await runThere(`${from}..${to}`, o.options) !== 0) status = 1;
    }
  };
  await Promise.all(Array.from({ length: o.jobs }, worker));
  return status;
}

/** The seeds of this very tree, and every seed that ever found a bug. */
export async function runTree(jobs: number): Promise<number> {
  const { from, to } = await seedsOfTree();
  const kept = await runHere(KEPT_SEEDS.map(({ seed }) => seed), {});
  const fresh = await runMany({ range: { from, to }, hours: null, jobs, options: {} });
  return Math.max(kept, fresh);
}

/** Leaves out what a failure does not need. */
export async function shrink(seed: number, options: PlanOptions): Promise<number> {
  const whole = await runSeed(seed, options);
  if (whole.violation === null) {
    console.log(`Seed ${seed} does not fail.`);
    return 0;
  }
  const fails = async (attempt: RunOptions) =>
    (await runSeed(seed, attempt)).violation?.checker === whole.violation?.checker;
  let only = [...whole.plan.faults];
  let { chaosSteps } = whole.plan;
  for (const kind of [...only]) {
    const fewer = only.filter((each) => each !== kind);
    if (await fails({ only: fewer, chaosSteps })) only = fewer;
  }
  while (chaosSteps > 100 && await fails({ only, chaosSteps: Math.floor(chaosSteps / 2) })) {
    chaosSteps = Math.floor(chaosSteps / 2);
  }
  console.log(`deno task sim --seed ${seed} --only ${only.join(",") || ","} --steps ${chaosSteps}`);
  return 1;
}

function seedsFrom(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

async function runHere(
  seeds: readonly number[],
  options: PlanOptions,
  untilViolated = false,
): Promise<number> {
  let status = 0;
  for (const seed of seeds) {
    const outcome = await runSeed(seed, options);
    report(outcome);
    if (outcome.violation === null) continue;
    status = 1;
    if (untilViolated) break;
  }
  return status;
}

async function runThere(range: string, options: PlanOptions): Promise<number> {
  const list = (name: string, of: readonly string[] | undefined) =>
    of === undefined ? [] : [`--${name}`, of.join(",") || ","];
  const steps = options.chaosSteps === undefined ? [] : ["--steps", `${options.chaosSteps}`];
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-prompt", "--quiet", "--no-check"],
      new URL("../main.ts", import.meta.url).pathname,
      ...["--seeds", range, ...list("only", options.only), ...list("without", options.without)],
      ...steps,
    ],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  return code;
}

function report(outcome: Outcome): void {
  const { seed, plan, steps, atMs, hash, violation } = outcome;
  const { units, hosts, faults } = plan;
  const run = `${steps} events, ${Math.round(atMs / 1000)} s, trace ${hash}, ` +
    `${units} unit(s), ${hosts} host(s), faults: ${faults.join(" ") || "none"}`;
  if (violation === null) return console.log(`seed ${seed}: held. ${run}`);
  console.log(
    `seed ${seed}: VIOLATED ${violation.checker} at event ${violation.step}: ` +
      `${violation.text}\n  ${run}\n  again: deno task sim --seed ${seed} --trace FILE`,
  );
}
