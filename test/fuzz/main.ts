import { readFlags, REFUSED } from "../runner/long_run.ts";
import { runCase } from "./target.ts";
import { TARGETS } from "./targets.ts";

const USAGE = `Usage: deno task fuzz [--only NAME] [--seed N] [--seconds S] [--cases N]
Runs ${TARGETS.map(({ name }) => name).join(", ")} with rising seeds, ten seconds each unless
told otherwise; a failure prints the command that repeats it.`;

const SECONDS_DEFAULT = 10;

async function main(): Promise<number> {
  const values = readFlags(Deno.args, {
    only: { type: "string" },
    seed: { type: "string" },
    seconds: { type: "string" },
    cases: { type: "string" },
    help: { type: "boolean" },
  });
  if (typeof values === "string") {
    console.error(`${values}\n${USAGE}`);
    return REFUSED;
  }
  const targets = TARGETS.filter(({ name }) => values.only === undefined || values.only === name);
  const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  const seconds = Number(values.seconds ?? SECONDS_DEFAULT);
  const cases = Number(values.cases ?? Infinity);
  const isUsable = Number.isInteger(seed) && seconds > 0 && cases > 0 && targets.length > 0;
  if (values.help || !isUsable) {
    console.log(USAGE);
    return values.help ? 0 : REFUSED;
  }
  for (const target of targets) {
    const endMs = performance.now() + seconds * 1000;
    let done = 0;
    while (done < cases && (done === 0 || performance.now() < endMs)) {
      await runCase(target, seed + done);
      done++;
    }
    console.log(`${target.name}: ${done} cases from seed ${seed}`);
  }
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exitCode = await main();
  } catch (error) {
    console.error(error);
    // What a case that failed has left open would keep the process.
    Deno.exit(1);
  }
}
