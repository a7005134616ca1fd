import assert from "node:assert/strict";
import { scenario } from "../e2e/scenario.ts";
import { PowerRun } from "./power_run.ts";

/** Fixed, so that a run fails for what changed; `deno task power` looks further. */
const SEED = 1;
const CUTS = 2;

scenario({
  name: "a unit's machine loses its power under verified writes, and nothing acknowledged is lost",
  needs: { kernel: true, tools: ["qemu-system-x86_64", "busybox", "mkfs.ext4", "ldd"] },
  async run({ cluster }) {
    const run = new PowerRun(cluster, SEED);
    try {
      await run.start();
      while (run.cuts < CUTS) await run.round();
      await run.finish();
      console.log(run.summary());
      assert.ok(run.lost > 0, "a cut that takes nothing away shows nothing");
    } catch (error) {
      console.error(`--- the machine's console:\n${run.console}`);
      throw error;
    } finally {
      await run.close();
    }
  },
});
