import assert from "node:assert/strict";
import type { Asker } from "../io/operation.ts";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";

const TURNS = 12;

Deno.test("what was not answered under one generation is answered under the next one only", () => {
  let waited = 0;
  for (let turns = 0; turns < TURNS; turns++) {
    const bench = new LegBench();
    const unit = bench.unit();
    const leg = bench.ready(bench.leg(unit));
    const device = new DeviceBench(bench, leg);
    const write = device.write(0, { fill: 7 });
    for (let i = 0; i < turns; i++) bench.io.turn(0);
    const wasDone = write.isDone;
    leg.update(assignmentOf(unit, { counter: 2 }));
    if (!wasDone) {
      waited++;
      bench.until(() => write.isDone, "the answer");
      assert.equal(unit.attachments.length, 2, `answered by the old connection (${turns} turns)`);
    }
    assert.deepEqual(device.results(write), [4 * KIB]);
    bench.ready(leg);
    assert.equal(device.fillOf(0), 7);
    bench.end([leg], [unit]);
  }
  assert.ok(waited > 0 && waited < TURNS, "some were answered before, and some were not");
});

Deno.test("a grant anew in the middle of a replay ends it, also while it waits for a buffer", () => {
  let gaveUp = 0;
  for (let turns = 0; turns < TURNS; turns++) {
    const bench = new LegBench();
    const units = [bench.unit(), bench.unit()] as const;
    const legs = units.map((unit) => bench.ready(bench.leg(unit)));
    for (const leg of legs) {
      const device = new DeviceBench(bench, leg);
      // More than there are buffers for replays, which the legs share.
      const writes = Array.from({ length: 24 }, (_, i) => device.write(i * 4 * KIB, { fill: 1 }));
      device.results(...writes);
    }
    for (const unit of units) unit.reboot();
    for (let i = 0; i < turns; i++) bench.io.turn(1);
    legs[1]!.update(assignmentOf(units[1], { counter: 2 }));
    gaveUp += bench.log("A new grant came").length;
    bench.until(() => units[0].device.durable[23 * 4 * KIB] === 1, "the other leg's replay");
    for (const leg of legs) bench.ready(leg);
    bench.end(legs, units);
  }
  assert.ok(gaveUp > 0 && gaveUp < TURNS, "some replays were over before, and some were not");
});

Deno.test("what a new grant gave up is told by the next flush, and not by a FUA write before it", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  device.results(device.write(0, { fill: 1 }));
  leg.update(assignmentOf(unit, { counter: 2 }));
  bench.ready(leg);
  assert.deepEqual(device.results(device.write(8 * KIB, { fill: 2, fua: true })), [4 * KIB]);
  assert.deepEqual(device.results(device.flush()), [-5]);
  assert.deepEqual(device.results(device.flush()), [0]);
  bench.end([leg], [unit]);
});

Deno.test("each connection that was there when changes were given up is told by its next flush", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  const [one, other, idle] = [asker(bench), asker(bench), asker(bench)];
  device.results(device.write(0, { fill: 1 }), device.write(8 * KIB, { fill: 2 }));
  leg.update(assignmentOf(unit, { counter: 2 }));
  bench.ready(leg);
  const later = asker(bench, 1);
  assert.deepEqual(device.results(device.flush(one)), [-5]);
  assert.deepEqual(device.results(device.flush(one), device.flush(later)), [0, 0]);
  device.results(device.write(0, { fill: 3 }));
  assert.deepEqual(device.results(device.flush(other)), [-5]);
  assert.deepEqual(device.results(device.flush(other)), [0]);
  // Nothing is left to be flushed, and it is told all the same.
  assert.equal(leg.isDirty, false);
  assert.deepEqual(device.results(device.flush(idle)), [-5]);
  assert.deepEqual(device.results(device.flush(idle)), [0]);

  device.results(device.write(0, { fill: 4 }));
  leg.update(assignmentOf(unit, { counter: 3 }));
  bench.ready(leg);
  // Those that were there may all be gone.
  assert.deepEqual(device.results(device.flush(asker(bench, 1))), [-5]);
  assert.deepEqual(device.results(device.flush(one)), [-5]);
  assert.deepEqual(device.results(device.flush(one)), [0]);
  bench.end([leg], [unit]);
});

Deno.test("a TRIM with FUA is durable for itself, and leaves what was given up to the next flush", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  const one = asker(bench);
  device.results(device.write(0, { fill: 1 }), device.write(8 * KIB, { fill: 2, fua: true }));
  leg.update(assignmentOf(unit, { counter: 2 }));
  bench.ready(leg);
  const trim = device.discard(8 * KIB, 4 * KIB, { fua: true, asker: one });
  assert.deepEqual(device.results(trim), [0]);
  assert.equal(unit.device.durable[8 * KIB], 0, "it is durable when it is answered");
  assert.deepEqual(device.results(device.flush(one)), [-5]);
  assert.deepEqual(device.results(device.flush(one)), [0]);
  bench.end([leg], [unit]);
});

Deno.test("a flush of who has gone meanwhile does not count as having told of what was given up", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  const gone = { ...asker(bench), hasGone: true };
  device.results(device.write(0, { fill: 1 }));
  leg.update(assignmentOf(unit, { counter: 2 }));
  bench.ready(leg);
  // Its connection's end was not seen yet. A client that connects by itself asks again.
  assert.deepEqual(device.results(device.flush(gone)), [-5]);
  const later = asker(bench, 1);
  assert.deepEqual(device.results(device.flush(later)), [-5]);
  assert.deepEqual(device.results(device.flush(later)), [0]);
  bench.end([leg], [unit]);
});

/** Somebody who came just now, or a little later. */
function asker(bench: LegBench, afterMs = 0): Asker {
  return { hasGone: false, sinceMs: bench.io.nowMs() + afterMs };
}
