import assert from "node:assert/strict";
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
