import { parseArgs } from "node:util";
import { Cluster } from "../e2e/cluster.ts";
import { KillRun } from "./kill_run.ts";

const ROUNDS_DEFAULT = 1000;
const USAGE = `Usage: deno task kills [--rounds N] [--seed N]
Kills station, units and hosts' agents under verified writes, ${ROUNDS_DEFAULT} rounds unless told
otherwise, each with one kill or several. Needs root, ip and fio. A failure prints the seed.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { rounds: { type: "string" }, seed: { type: "string" }, help: { type: "boolean" } },
  });
  const rounds = Number(values.rounds ?? ROUNDS_DEFAULT);
  const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  if (values.help || !(rounds > 0) || !Number.isInteger(seed)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  await using cluster = await Cluster.create();
  const run = new KillRun(cluster, seed);
  try {
    await run.start();
    while (run.rounds < rounds) {
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
    return 1;
  }
  console.log(`Passed with seed ${seed}: ${run.summary()}`);
  return 0;
}

if (import.meta.main) Deno.exitCode = await main();
