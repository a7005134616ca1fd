import { parseArgs } from "node:util";
import { Cluster } from "../e2e/cluster.ts";
import { PowerRun } from "./power_run.ts";

const CUTS_DEFAULT = 100;
const USAGE = `Usage: deno task power [--cuts N] [--seed N]
Cuts the power of a unit's machine, emulated by qemu, under verified writes: ${CUTS_DEFAULT} times
unless told otherwise. Needs root, ip, qemu-system-x86_64, busybox, mkfs.ext4 and Debian's kernel
("deno task test" fetches it). A failure prints the seed.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { cuts: { type: "string" }, seed: { type: "string" }, help: { type: "boolean" } },
  });
  const cuts = Number(values.cuts ?? CUTS_DEFAULT);
  const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0]);
  if (values.help || !(cuts > 0) || !Number.isInteger(seed)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  await using cluster = await Cluster.create();
  const run = new PowerRun(cluster, seed);
  try {
    await run.start();
    while (run.cuts < cuts) {
      await run.round();
      console.log(run.summary());
    }
    await run.finish();
    console.log(`Passed with seed ${seed}: ${run.summary()}`);
  } catch (error) {
    console.error(`--- the machine's console:\n${run.console}`);
    console.error(`Failed with seed ${seed}, after: ${run.summary()}`);
    console.error(error);
    return 1;
  } finally {
    await run.close();
  }
  return 0;
}

if (import.meta.main) Deno.exitCode = await main();
