import assert from "node:assert/strict";
import fc from "fast-check";
import { createBestIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import { type Asked, BLOCK, MediumBench } from "./testing_medium.ts";
import type { KernelCall } from "./testing_writeback.ts";

const EIO = 5;
const ENOSPC = 28;

function newIo(): Io {
  return createBestIo({ arena: { classes: [{ bytes: 4096, count: 4 }] } }).io;
}

function bench(name: string, run: (on: MediumBench) => void | Promise<void>): void {
  Deno.test(`MediumState ${name}`, async () => {
    const real = newIo();
    try {
      await run(new MediumBench(real));
    } finally {
      real.destroy();
    }
  });
}

/** A write that is answered. */
function written(on: MediumBench, device = 0): void {
  const asked = on.write(false, device);
  on.kernel.end(on.call("write"));
  assert.equal(asked.result, BLOCK);
}

bench("has one sync under way, and those who ask meanwhile share the next one", (on) => {
  written(on);
  const first = on.flush();
  on.kernel.turn();
  assert.equal(on.kernel.syncs.length, 1);
  written(on, 1);
  const later = [on.flush(), on.flush(1), on.flush()];
  on.kernel.turn();
  assert.equal(on.kernel.syncs.length, 1);
  on.kernel.end(on.call("sync"));
  assert.deepEqual([first.result, ...later.map(({ result }) => result)], [0, null, null, null]);
  on.kernel.turn();
  assert.equal(on.kernel.syncs.length, 1);
  on.kernel.end(on.call("sync"));
  assert.deepEqual(later.map(({ result }) => result), [0, 0, 0]);
  on.kernel.turn();
  assert.equal(on.kernel.syncs.length, 0);
});

bench("needs no second sync for a flush when nothing changed since the first began", (on) => {
  written(on);
  const first = on.flush();
  on.kernel.turn();
  const second = on.flush();
  on.kernel.end(on.call("sync"));
  on.kernel.turn();
  assert.deepEqual([first.result, second.result], [0, 0]);
  assert.equal(on.kernel.syncs.length, 0);
});

// The kernel tells one of them of the lost page, and the other nothing: the news of the latter may
// come first. (Beside each other, that is: joined, one is asked for both.)
bench("calls nothing durable beside a flush that fails, whichever is heard of first", (on) => {
  written(on);
  const asked = [on.flush(), on.flush(1)];
  on.kernel.turn();
  on.kernel.writeBack("lost");
  for (const call of on.kernel.syncs.reverse()) on.kernel.finish(call);
  for (const call of on.kernel.syncs) on.kernel.reap(call);
  on.kernel.turn();
  assert.deepEqual(asked.map(({ result }) => result), [-EIO, -EIO]);
});

bench("calls a FUA write durable only by a sync that began after it", (on) => {
  const fua = on.write(true);
  on.kernel.end(on.call("write"));
  assert.equal(fua.result, null);
  on.kernel.turn();
  on.kernel.end(on.call("sync"));
  assert.equal(fua.result, BLOCK);
});

for (const kind of ["write", "zero", "discard"] as const) {
  bench(`fails a FUA ${kind} whose page was lost while a FLUSH was told of it`, (on) => {
    written(on);
    const flush = on.flush();
    on.kernel.turn();
    const sync = on.call("sync");
    const fua = on[kind](true);
    on.kernel.writeBack("lost");
    on.kernel.finish(sync);
    on.kernel.end(on.call(kind));
    for (const call of on.kernel.syncs.filter((one) => one !== sync)) on.kernel.end(call);
    on.kernel.reap(sync);
    on.kernel.turn();
    assert.deepEqual([flush.result, fua.result], [-EIO, -EIO]);
  });
}

bench("fails a label's update and a FLUSH together, whichever is heard of first", async (on) => {
  written(on);
  const flush = on.flush();
  const label = on.syncLabel();
  on.kernel.turn();
  on.kernel.writeBack("lost");
  for (const call of on.kernel.syncs.reverse()) on.kernel.finish(call);
  for (const call of on.kernel.syncs) on.kernel.reap(call);
  on.kernel.turn();
  assert.equal(flush.result, -EIO);
  assert.equal(await label, false);
  assert.equal(on.label.state.errorCount, 1);
});

bench("does not poison for a FUA write that could not be written at all", (on) => {
  const full = on.write(true);
  on.kernel.end(on.call("write"), { errno: ENOSPC });
  const bad = on.write(true);
  on.kernel.end(on.call("write"), { errno: EIO });
  assert.deepEqual([full.result, bad.result], [-ENOSPC, -EIO]);
  assert.equal(on.label.state.poisoned, false);
  assert.equal(on.label.state.errorCount, 2);
  // What a failed write did change is synced with the rest.
  const flush = on.flush();
  on.kernel.turn();
  on.kernel.end(on.call("sync"));
  assert.equal(flush.result, 0);
});

bench("poisons for a sync that fails in any way, a full file system's too", (on) => {
  const fua = on.write(true);
  on.kernel.end(on.call("write"));
  on.kernel.turn();
  on.kernel.end(on.call("sync"), { errno: ENOSPC });
  assert.equal(fua.result, -ENOSPC);
  assert.equal(on.label.state.poisoned, true);
  assert.equal(on.flush().result, null);
  on.kernel.turn();
  assert.equal(on.kernel.calls.length, 0, "a later sync would lie");
});

type Step =
  | "write"
  | "fua"
  | "flush"
  | "label"
  | "finish"
  | "reap"
  | "turn"
  | "lose"
  | "write back";

Deno.test("MediumState never answers durable for what a writeback lost, in any order", async () => {
  const steps = fc.array(
    fc.tuple(
      fc.constantFrom<Step>(
        ...["write", "write", "fua", "fua", "flush", "flush", "label"] as const,
        ...["finish", "finish", "finish", "reap", "reap", "reap", "turn", "turn"] as const,
        ...["lose", "write back"] as const,
      ),
      fc.nat(1000),
    ),
    { minLength: 10, maxLength: 60 },
  );
  const real = newIo();
  try {
    const property = fc.asyncProperty(steps, (taken) => play(new MediumBench(real), taken));
    await fc.assert(property, { seed: 20, numRuns: 2000 });
  } finally {
    real.destroy();
  }
});

async function play(on: MediumBench, steps: readonly (readonly [Step, number])[]): Promise<void> {
  const asked: Asked[] = [];
  const labels: Promise<boolean>[] = [];
  const pick = (number: number, act: (call: KernelCall) => void) => {
    const { calls } = on.kernel;
    if (calls.length > 0) act(calls[number % calls.length]!);
  };
  for (const [step, number] of steps) {
    if (step === "write" || step === "fua") asked.push(on.write(step === "fua", number % 2));
    else if (step === "flush") asked.push(on.flush(number % 2));
    else if (step === "label") labels.push(on.syncLabel());
    else if (step === "finish") pick(number, (call) => on.kernel.finish(call));
    else if (step === "reap") pick(number, (call) => on.kernel.reap(call));
    else if (step === "turn") on.kernel.turn();
    else on.kernel.writeBack(step === "lose" ? "lost" : "good");
  }
  for (let i = 0; i < 200; i++) {
    pick(i, (call) => on.kernel.end(call));
    on.kernel.turn();
  }
  await Promise.all(labels);
  for (const { promises, result } of asked) {
    assert.ok(result !== null, "everything is answered");
    if (result < 0) continue;
    for (const position of promises) assert.ok(on.kernel.durable.has(position));
  }
}
