import { Cluster } from "../e2e/cluster.ts";
import { runLong } from "../runner/long_run.ts";
import { KillRun } from "./kill_run.ts";

const ROUNDS_DEFAULT = 1000;
const USAGE = `Usage: deno task kills [--rounds N] [--seed N]
Kills station, units and hosts' agents under verified writes, ${ROUNDS_DEFAULT} rounds unless told
otherwise, each with one kill or several. Needs root, ip and fio. A failure prints the seed.`;

/** Whether all rounds passed. */
async function passes({ count, seed }: { count: number; seed: number }): Promise<boolean> {
  await using cluster = await Cluster.create();
  const run = new KillRun(cluster, seed);
  try {
    await run.start();
    while (run.rounds < count) {
      await run.round();
      if (run.rounds % 20 === 0) console.log(run.summary());
    }
    await run.finish();
  } catch (error) {
    for (const member of cluster.lab.members.slice(-8)) {
      console.error(`--- last words of ${member.flags[0]} on ${member.machine}:\n${member.words}`);
    }
    console.error(`Failed in round ${run.rounds} of seed ${seed}, after: ${run.summary()}`);
    console.error(error);
    return false;
  }
  console.log(`Passed with seed ${seed}: ${run.summary()}`);
  return true;
}

if (import.meta.main) {
  Deno.exitCode = await runLong(Deno.args, {
    usage: USAGE,
    count: { flag: "rounds", usual: ROUNDS_DEFAULT },
    needs: { root: true, netns: true, tools: ["ip", "fio"] },
  }, passes);
}
