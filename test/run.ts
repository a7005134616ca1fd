import { SKIPS_VARIABLE } from "./needs.ts";
import { readFlags, REFUSED } from "./runner/long_run.ts";
import { fillCache, installPackages } from "./runner/packages.ts";
import { lastLine, type Totals } from "./runner/report.ts";
import { type Suite, SUITE_NAMES, suitesOf } from "./runner/plan.ts";
import { readSkips, runSuite } from "./runner/suites.ts";

const USAGE = `Usage: deno task test [--only ${SUITE_NAMES.join("|")}] [--filter TEXT]`;

/** Runs all tests, or those asked for; the status is 0 only when some ran and none failed. */
async function main(): Promise<number> {
  const values = readFlags(Deno.args, {
    only: { type: "string" },
    filter: { type: "string" },
    help: { type: "boolean" },
  });
  if (typeof values === "string") {
    console.error(`${values}\n${USAGE}`);
    return REFUSED;
  }
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  Deno.chdir(new URL("..", import.meta.url).pathname);
  const suites = suitesOf(".").filter(({ name }) => {
    return values.only === undefined || values.only === name;
  });
  if (suites.length === 0) {
    console.log(`No suite is called "${values.only}". ${USAGE}`);
    return REFUSED;
  }
  await installPackages();
  await fillCache();
  const directory = Deno.makeTempDirSync({ prefix: "dvsan-test-" });
  Deno.env.set(SKIPS_VARIABLE, `${directory}/skips.jsonl`);
  try {
    return await runSuites(suites, directory, values.filter ?? null);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

async function runSuites(
  suites: readonly Suite[],
  directory: string,
  filter: string | null,
): Promise<number> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  const broken: string[] = [];
  const skipped: string[] = [];
  for (const suite of suites) {
    const outcome = await runSuite(suite, { report: `${directory}/${suite.name}.xml`, filter });
    totals.passed += outcome.totals.passed;
    totals.failed += outcome.totals.failed;
    totals.skipped += outcome.totals.skipped;
    skipped.push(...outcome.skipped);
    if (outcome.problem !== null) broken.push(`${suite.name}: ${outcome.problem}`);
  }
  const reasons = new Map(
    readSkips(`${directory}/skips.jsonl`).map(({ name, reason }) => [name, reason]),
  );
  if (skipped.length > 0) console.log("\nSkipped:");
  for (const name of skipped) console.log(`  ${name}: ${reasons.get(name) ?? "no reason given"}`);
  for (const problem of broken) console.log(`\nFailed: ${problem}`);
  // A file that did not even load has no test of its own in the report.
  if (broken.length > 0 && totals.failed === 0) totals.failed = broken.length;
  if (totals.passed + totals.failed === 0) console.log("\nFailed: no test ran.");
  console.log(`\n${lastLine(totals)}`);
  return totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}

Deno.exit(await main());
