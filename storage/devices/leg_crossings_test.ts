import assert from "node:assert/strict";
import type { ForgetfulDevice } from "../nbd/testing_forgetful.ts";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";

/** Several things at once: what each alone does is tested elsewhere. */

const TURNS = 14;

/** The next flush covers what is there when it comes, and ends when the answer is called. */
function holdFlush(device: ForgetfulDevice): () => void {
  let end = () => {};
  const flush = device.flush.bind(device);
  device.flush = (operation) => {
    const { done } = operation;
    operation.done = (ended) => {
      end = () => {
        ended.done = done;
        done(ended);
      };
    };
    device.flush = flush;
    flush(operation);
  };
  return () => end();
}

Deno.test("a flush speaks for what was answered before it was sent, not for what came beside it", () => {
  for (const kind of ["write", "zero", "discard"] as const) {
    const bench = new LegBench();
    const unit = bench.unit();
    const leg = bench.ready(bench.leg(unit));
    const device = new DeviceBench(bench, leg);
    assert.deepEqual(device.results(device.write(0, { fill: 1 })), [4 * KIB]);
    assert.deepEqual(device.results(device.write(4 * KIB, { fill: 1 })), [4 * KIB]);
    const endFlush = holdFlush(unit.device);
    const flush = device.flush();
    bench.until(() => unit.device.seen.at(-1)?.kind === "flush", "the flush at the unit");
    const beside = kind === "write"
      ? device.write(4 * KIB, { fill: 2 })
      : device[kind](4 * KIB, 4 * KIB);
    assert.ok(device.results(beside)[0]! >= 0);
    assert.equal(flush.isDone, false);
    endFlush();
    assert.deepEqual(device.results(flush), [0]);
    assert.equal(unit.device.durable[4 * KIB], 1, "the flush did not cover it");
    const seen = unit.device.seen.length;
    unit.reboot();
    bench.until(() => unit.device.seen.length > seen && leg.isReady, "the replay");
    const replayed = unit.device.seen.slice(seen).filter((one) => one.kind !== "flush");
    assert.deepEqual(replayed.map((one) => [one.kind, one.position]), [[kind, 4 * KIB]]);
    assert.equal(device.fillOf(4 * KIB), unit.device.bytes[4 * KIB]);
    bench.end([leg], [unit]);
  }
});

Deno.test("a unit that restarts twice between handshake and the end of a replay is replayed all", () => {
  for (let first = 0; first < TURNS; first += 3) {
    for (let second = 0; second < TURNS; second += 2) {
      const bench = new LegBench();
      const unit = bench.unit();
      const leg = bench.ready(bench.leg(unit));
      const device = new DeviceBench(bench, leg);
      const writes = [0, 1, 2].map((i) => device.write(i * 4 * KIB, { fill: i + 1 }));
      device.results(...writes);
      // Asked for before the first restart, and answered after the last one.
      const pending = [device.write(0, { fill: 9 }), device.flush()];
      for (const turns of [0, first, second]) {
        for (let i = 0; i < turns; i++) bench.io.turn(1);
        unit.reboot();
      }
      assert.deepEqual(device.results(...pending), [4 * KIB, 0]);
      bench.ready(leg);
      assert.deepEqual(device.results(device.flush()), [0]);
      const durable = [0, 1, 2].map((i) => unit.device.durable[i * 4 * KIB]);
      assert.deepEqual(durable, [9, 2, 3], `${first} and ${second} turns`);
      bench.end([leg], [unit]);
    }
  }
});

Deno.test("fenced in a replay, with a flush waiting and the medium failing: told once, then whole", () => {
  for (let turns = 0; turns < TURNS; turns++) {
    const bench = new LegBench();
    const unit = bench.unit();
    const leg = bench.ready(bench.leg(unit));
    const device = new DeviceBench(bench, leg);
    device.results(...[0, 1, 2].map((i) => device.write(i * 4 * KIB, { fill: i + 1 })));
    unit.device.flushErrno = 5;
    unit.reboot();
    const flush = device.flush();
    for (let i = 0; i < turns; i++) bench.io.turn(1);
    unit.refusal = "fenced";
    unit.cut();
    bench.until(() => leg.status().state === "refused", "the fence to be known");
    assert.deepEqual(device.results(flush), [-5]);
    // An operator has had the medium opened anew, and the station grants the leg anew.
    unit.refusal = null;
    unit.device.flushErrno = 0;
    unit.boot++;
    leg.update(assignmentOf(unit, { counter: 2 }));
    bench.ready(leg);
    assert.deepEqual(device.results(device.write(0, { fill: 7 })), [4 * KIB]);
    assert.deepEqual(device.results(device.flush()), [-5], `told after ${turns} turns`);
    assert.deepEqual(device.results(device.flush()), [0]);
    assert.equal(unit.device.durable[0], 7);
    bench.end([leg], [unit]);
  }
});
