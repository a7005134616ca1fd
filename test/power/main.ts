import { parseArgs } from "node:util";
import { Cluster } from "../e2e/cluster.ts";
import { type PowerOptions, PowerRun, twoMedia } from "./power_run.ts";

const CUTS_DEFAULT = 100;
const MACHINES: readonly Omit<PowerOptions, "seed">[] = [
  { io: "uring", media: twoMedia("scsi") },
  { io: "epoll", media: twoMedia("virtio") },
];
const USAGE = `Usage: deno task power [--cuts N] [--seed N]
Cuts the power of a unit's machine, emulated by qemu, under verified writes: ${CUTS_DEFAULT} times
unless told otherwise, and then takes a disk out of it; once more of either where the unit uses
epoll, and the disk has another bus. Needs root, ip, qemu-system-x86_64, qemu-nbd, nbdsh, busybox,
mkfs.ext4 and Debian's kernel ("deno task test" fetches it). A failure prints the seed.`;

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
  for (const machine of MACHINES) {
    const isFirst = machine === MACHINES[0];
    if (!await passes({ ...machine, seed }, isFirst ? cuts : 1)) return 1;
  }
  return 0;
}

/** The cuts, the last under disks that are used without their agent; and then a disk goes. */
async function passes(options: PowerOptions, cuts: number): Promise<boolean> {
  await using cluster = await Cluster.create();
  const run = new PowerRun(cluster, options);
  const { io, media, seed } = options;
  const machine = `${io}, ${media[0]!.bus}`;
  try {
    await run.start();
    while (run.cuts < cuts - 1) {
      await run.round();
      console.log(run.summary());
    }
    await run.direct();
    await run.finish();
    await run.poison();
    await run.vanish();
    console.log(`Passed with seed ${seed} by ${machine}: ${run.summary()}`);
    return true;
  } catch (error) {
    console.error(`--- the machine's console:\n${run.console}`);
    console.error(`Failed with seed ${seed} by ${machine}, after: ${run.summary()}`);
    console.error(error);
    return false;
  } finally {
    await run.close();
  }
}

if (import.meta.main) Deno.exitCode = await main();
