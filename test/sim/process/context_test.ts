import assert from "node:assert/strict";
import { Simulation } from "../core/simulation.ts";
import type { SimMachine } from "../machines/machine.ts";
import { simProcess } from "./context.ts";
import { Incarnation } from "./incarnation.ts";

Deno.test("a process that is over is handed timers that never ring, and nothing else", () => {
  const owner = new Incarnation(new Simulation({ seed: 1, keepTrace: false }), "station#1");
  const machine = {
    name: "station",
    trueMs: (ms: number) => ms,
    realPath: String,
  } as unknown as SimMachine;
  const { process } = simProcess(owner, machine, () => {});
  let rung = 0;
  process.clock.after(1, () => rung++);
  owner.end("killed");
  // Who tries again after a pause, because a call threw, would else do so without one.
  process.clock.after(1, () => rung++).cancel();
  assert.throws(() => process.openDatabase("catalog"), /station#1 is over/);
  assert.equal(rung, 0);
});
