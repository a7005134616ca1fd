import { Cluster } from "../e2e/cluster.ts";
import { runLong } from "../runner/long_run.ts";
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

const TOOLS = "ip qemu-system-x86_64 qemu-nbd nbdsh busybox mkfs.ext4 ldd".split(" ");

async function allPass({ count, seed }: { count: number; seed: number }): Promise<boolean> {
  for (const machine of MACHINES) {
    const isFirst = machine === MACHINES[0];
    if (!await passes({ ...machine, seed }, isFirst ? count : 1)) return false;
  }
  return true;
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

if (import.meta.main) {
  Deno.exitCode = await runLong(Deno.args, {
    usage: USAGE,
    count: { flag: "cuts", usual: CUTS_DEFAULT },
    needs: { root: true, netns: true, kernel: true, tools: TOOLS },
  }, allPass);
}
