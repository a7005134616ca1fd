import type { Skip } from "../needs.ts";
import { count, parseReport, type Totals } from "./report.ts";

export interface Suite {
  readonly name: string;
  /** Folders and files with tests. */
  readonly paths: readonly string[];
  /** Files below `paths` that another suite runs. */
  readonly without?: readonly string[];
  readonly isParallel: boolean;
}

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
  const paths = suite.paths.filter(hasTests);
  const none: Totals = { passed: 0, failed: 0, skipped: 0 };
  if (paths.length === 0) return { totals: none, skipped: [], problem: null };
  console.log(`\n== ${suite.name}`);
  const args = ["test", "-A", "--no-prompt", `--junit-path=${options.report}`];
  if (suite.isParallel) args.push("--parallel");
  if (suite.without !== undefined) args.push(`--ignore=${suite.without.join(",")}`);
  if (options.filter !== null) args.push(`--filter=${options.filter}`);
  const status = await new Deno.Command(Deno.execPath(), {
    args: [...args, ...paths],
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

/**
 * The test files below `paths` that start processes. A process has copies of all descriptors of
 * the one that starts it until it runs its program: ports, sockets and devices that another test
 * closes meanwhile stay in use. So such files do not run beside others.
 */
export function filesThatStartProcesses(paths: readonly string[]): string[] {
  const signs = /Deno\.Command\b|node:child_process|\b(?:testWith|needs)\(/;
  return paths.flatMap(testFiles).filter((path) => signs.test(Deno.readTextFileSync(path)));
}

function testFiles(path: string): string[] {
  if (Deno.statSync(path).isFile) return [path];
  const entries = [...Deno.readDirSync(path)].sort((a, b) => a.name < b.name ? -1 : 1);
  return entries.flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testFiles(`${path}/${name}`);
    return /_test\.tsx?$/.test(name) ? [`${path}/${name}`] : [];
  });
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

function hasTests(path: string): boolean {
  if (path.endsWith(".ts")) return true;
  try {
    return [...Deno.readDirSync(path)].some((entry) => {
      return entry.isDirectory
        ? hasTests(`${path}/${entry.name}`)
        : /_test\.tsx?$/.test(entry.name);
    });
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
