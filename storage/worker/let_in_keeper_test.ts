import assert from "node:assert/strict";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import { LET_IN_KEPT_MS_MAX } from "../../protocol/core/limits.ts";
import type { LetInRecord } from "../grants/let_in_runs.ts";
import { IoPromises, runUntilSettled } from "../io/promises.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { LetInKeeper } from "./let_in_keeper.ts";

function keeping() {
  const world = new SimWorld();
  const io = new SimIo({ world, arena: { classes: [{ bytes: 8192, count: 4 }] } });
  const promises = new IoPromises(io);
  const lines: LogLine[] = [];
  const asked: { number: number; runs: LetInRecord }[] = [];
  const log = createLog((line) => lines.push(line));
  const keeper = new LetInKeeper({ io, promises, log, ask: (one) => asked.push(one) });
  const run = (done: Promise<unknown>) => runUntilSettled(io, promises, done);
  return { world, io, run, lines, asked, keeper };
}

const record = (first: number): LetInRecord => ({ a: { epoch: 1, counter: 1, first } });

Deno.test("LetInKeeper has one write under way, and what came meanwhile shares the next", async () => {
  const { io, run, asked, keeper } = keeping();
  const first = keeper.keep(record(1));
  let isKept = false;
  const second = keeper.keep(record(2)).then(() => isKept = true);
  const third = keeper.keep(record(3));
  assert.deepEqual(asked, [{ number: 1, runs: record(1) }]);
  keeper.kept({ number: 7 });
  keeper.kept({ number: 1 });
  await run(first);
  assert.equal(isKept, false);
  assert.deepEqual(asked.slice(1), [{ number: 2, runs: record(3) }]);
  keeper.kept({ number: 2 });
  await run(Promise.all([second, third]));
  assert.equal(asked.length, 2);
  io.destroy();
});

Deno.test("LetInKeeper waits so long and no longer, and says so once until it is kept in time", async () => {
  const { world, io, run, lines, keeper } = keeping();
  for (let i = 0; i < 2; i++) {
    const beganMs = world.nowMs;
    await run(keeper.keep(record(i)));
    assert.ok(world.nowMs - beganMs >= LET_IN_KEPT_MS_MAX);
    assert.deepEqual(lines.map(({ level }) => level), ["warn"]);
  }
  const next = keeper.keep(record(2));
  keeper.kept({ number: 1 });
  keeper.kept({ number: 2 });
  await run(next);
  await run(keeper.keep(record(3)));
  assert.equal(lines.length, 2, "late again");
  io.destroy();
});
