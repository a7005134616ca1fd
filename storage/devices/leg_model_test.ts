import fc from "fast-check";
import { KIB } from "../../protocol/core/limits.ts";
import { LogBudget } from "./leg_log_budget.ts";
import { LegBench } from "./testing_leg.ts";
import { anyStep, ModelLeg } from "./testing_leg_model.ts";

const anyStream = fc.constantFrom(50, 700, 65_536);

Deno.test("whatever is cut or rebooted, a read sees the newest acknowledged data", () => {
  const anySteps = fc.array(anyStep, { minLength: 5, maxLength: 80 });
  fc.assert(
    fc.property(anySteps, anyStream, (steps, streamBytes) => {
      const bench = new LegBench();
      bench.world.streamBytes = streamBytes;
      const model = new ModelLeg(bench);
      for (const step of steps) model.step(step);
      model.finish();
      bench.end([model.leg], [model.unit]);
    }),
    { numRuns: 100 },
  );
});

const LEGS = 3;

Deno.test("so it is for legs that share too little memory for their logs", () => {
  const anyTurn = fc.record({ step: anyStep, which: fc.nat(LEGS - 1) });
  const anySteps = fc.array(anyTurn, { minLength: 20, maxLength: 150 });
  fc.assert(
    fc.property(anySteps, anyStream, (steps, streamBytes) => {
      const bench = new LegBench();
      bench.world.streamBytes = streamBytes;
      // Copies take memory by 64 KiB: two logs have it all.
      const logBudget = new LogBudget(128 * KIB, 64 * KIB);
      const models = Array.from({ length: LEGS }, () => new ModelLeg(bench, { logBudget }));
      for (const { step, which } of steps) models[which]!.step(step);
      for (const model of models) model.finish();
      bench.end(models.map(({ leg }) => leg), models.map(({ unit }) => unit));
    }),
    { numRuns: 60 },
  );
});
