import assert from "node:assert/strict";
import { scenario } from "../e2e/scenario.ts";
import { KillRun } from "./kill_run.ts";

/** Fixed, so that a run fails for what changed; `deno task kills` looks further. */
const SEED = 1;
const KILLS = 50;

scenario({
  name: `${KILLS} kills of station, units and host under verified writes lose nothing`,
  needs: { tools: ["fio"] },
  async run({ cluster }) {
    const run = new KillRun(cluster, SEED);
    await run.start();
    while (run.kills < KILLS) await run.round();
    await run.finish();
    console.log(run.summary());
    for (const [name, kills] of Object.entries(run.killsOf)) assert.ok(kills > 0, name);
    assert.ok(run.fioRuns > 0);
  },
});
