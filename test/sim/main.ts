import { DvsanError } from "../../protocol/core/errors.ts";
import { type Command, readCommand, USAGE } from "./command/flags.ts";
import { runHours, runKept, runMany, runOne, runTree, shrink } from "./command/runs.ts";

/** The command line of the simulator; the status is 0 when nothing was violated. */
async function main(): Promise<number> {
  try {
    return await run(readCommand(Deno.args));
  } catch (error) {
    if (!(error instanceof DvsanError) || error.code !== "usage") throw error;
    console.error(error.message);
    return 2;
  }
}

async function run({ what, jobs, options }: Command): Promise<number> {
  switch (what.kind) {
    case "help":
      console.log(USAGE);
      return 0;
    case "mutations": {
      const { runMutations } = await import("./mutations/run.ts");
      return await runMutations({ ...what, jobs });
    }
    case "shrink":
      return await shrink(what.seed, options);
    case "seed":
      return await runOne(what.seed, { ...what, options });
    case "hours":
      return await runHours(what.hours, { jobs, options });
    case "kept":
      return await runKept();
    case "seeds":
      return await runMany({ ...what, jobs, options });
    case "tree":
      return await runTree(jobs);
  }
}

Deno.exit(await main());
