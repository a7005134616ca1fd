import type { Skip } from "../needs.ts";
import type { Suite } from "./plan.ts";
import { count, parseReport, type Totals } from "./report.ts";

export interface SuiteOptions {
  /** Where the JUnit report is written. */
  readonly report: string;
  readonly filter: string | null;
}

export interface Outcome {
  readonly totals: Totals;
  /** Names of the tests that were skipped. */
  readonly skipped: readonly string[];
  /** Why the run itself failed, beyond single tests; null when it did not. */
  readonly problem: string | null;
}

/** Runs one suite with this very runtime; its output goes to ours. */
export async function runSuite(suite: Suite, options: SuiteOptions): Promise<Outcome> {
  console.log(`\n== ${suite.name}`);
  const args = ["test", "-A", "--no-prompt", `--junit-path=${options.report}`];
  if (suite.isParallel) args.push("--parallel");
  if (options.filter !== null) args.push(`--filter=${options.filter}`);
  const status = await new Deno.Command(Deno.execPath(), {
    args: [...args, ...suite.files],
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
    env: { NO_COLOR: "1" },
  }).spawn().status;
  const report = readText(options.report);
  const all = report === null ? [] : parseReport(report);
  // The report calls skipped what the filter left out, too.
  const cases = all.filter((each) => {
    return each.result !== "skipped" || each.name.includes(options.filter ?? "");
  });
  const totals = count(cases);
  const skipped = cases.filter((each) => each.result === "skipped").map((each) => each.name);
  if (status.success || totals.failed > 0) return { totals, skipped, problem: null };
  // With a filter, a suite may well have no test that is meant.
  const ran = totals.passed + totals.skipped;
  if (options.filter !== null && ran === 0 && report !== null) {
    return { totals, skipped, problem: null };
  }
  return {
    totals,
    skipped,
    problem: `the test runner ended with status ${status.code}; see above`,
  };
}

export function readSkips(path: string): Skip[] {
  const lines = (readText(path) ?? "").split("\n").filter((line) => line !== "");
  return lines.map((line): Skip => JSON.parse(line));
}

function readText(path: string): string | null {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
