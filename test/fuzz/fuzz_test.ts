import { runCase } from "./target.ts";
import { TARGETS } from "./targets.ts";

/**
 * Where the seeds of a test run begin. Fixed, so that a run fails for what changed and never by
 * chance; `deno task fuzz` looks further.
 */
const FIRST_SEED = 1;

for (const target of TARGETS) {
  Deno.test(`${target.name} keeps its promises with ${target.cases} seeds`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + target.cases; seed++) {
      await runCase(target, seed);
    }
  });
}
