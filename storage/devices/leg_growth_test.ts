import assert from "node:assert/strict";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";

const BEFORE = 128 * KIB;
const AFTER = 256 * KIB;
/** More than a leg needs to attach and replay what the test has written. */
const TURNS = 100;

Deno.test("a leg that grows while it attaches or replays has its new size, and loses nothing", () => {
  const phases = new Set<string>();
  for (let turns = 0; turns < TURNS; turns += 3) {
    const bench = new LegBench();
    const unit = bench.unit({ sizeBytes: BEFORE });
    const leg = bench.ready(bench.leg(unit));
    const device = new DeviceBench(bench, leg);
    for (let i = 0; i < 24; i++) device.results(device.write(i * 4 * KIB, { fill: i + 1 }));
    unit.reboot();
    bench.until(() => !leg.isReady);
    for (let i = 0; i < turns; i++) bench.io.turn(1000);
    const replays = bench.log("Replaying").length > 0;
    phases.add(leg.isReady ? "ready" : replays ? "replaying" : "connecting");
    unit.grow(AFTER);
    leg.update(assignmentOf(unit));
    const write = device.write(AFTER - 4 * KIB, { fill: 99 });
    assert.deepEqual(device.results(write), [4 * KIB], `after ${turns} turns`);
    assert.equal(device.fillOf(AFTER - 4 * KIB), 99);
    for (let i = 0; i < 24; i++) assert.equal(device.fillOf(i * 4 * KIB), i + 1);
    bench.end([leg], [unit]);
  }
  assert.deepEqual([...phases], ["connecting", "replaying", "ready"]);
});
