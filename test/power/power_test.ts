import assert from "node:assert/strict";
import { scenario } from "../e2e/scenario.ts";
import { PowerRun } from "./power_run.ts";

/** Fixed, so that a run fails for what changed; `deno task power` looks further. */
const SEED = 4;
const CUTS = 1;

scenario({
  name: "a unit's machine loses its power under verified writes, and nothing acknowledged is lost",
  needs: { kernel: true, tools: ["qemu-system-x86_64", "busybox", "mkfs.ext4", "ldd"] },
  async run({ cluster, step }) {
    const media = [{ bus: "virtio", sizeMib: 64 }] as const;
    const run = new PowerRun(cluster, { seed: SEED, media });
    try {
      await step("cut under verified writes: the host replays, and I/O goes on", async () => {
        await run.start();
        while (run.cuts < CUTS) await run.round();
        await run.finish();
        assert.ok(run.lost > 0, "a cut that takes nothing away shows nothing");
      });
      await step("a flush fails: poisoned over a power cut, until it is reopened", async () => {
        await run.poison();
      });
      await step("the medium is taken out of the machine: errors, and nothing else", async () => {
        await run.unplug();
      });
      console.log(run.summary());
    } catch (error) {
      console.error(`--- the machine's console:\n${run.console}`);
      throw error;
    } finally {
      await run.close();
    }
  },
});
