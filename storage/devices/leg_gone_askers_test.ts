import assert from "node:assert/strict";
import type { Asker } from "../io/operation.ts";
import { LinearDevice } from "./linear.ts";
import { DeviceBench, KIB, LegBench, type TestRequest } from "./testing_leg.ts";

const ESHUTDOWN = -108;
const SIZE_BYTES = 256 * KIB;

function askedBy(asker: Asker, ...requests: TestRequest[]): TestRequest[] {
  for (const request of requests) request.operation.asker = asker;
  return requests;
}

Deno.test("a leg ends what it never sent for who has gone, and nothing else", () => {
  const bench = new LegBench();
  const unit = bench.unit({ sizeBytes: SIZE_BYTES });
  const leg = bench.ready(bench.leg(unit));
  const linear = new LinearDevice([{ device: leg, sizeBytes: SIZE_BYTES }]);
  const device = new DeviceBench(bench, linear);
  const gone = { hasGone: true, sinceMs: 0 };
  const there = { hasGone: false, sinceMs: 0 };
  const logged = device.write(0, { fill: 1 });
  askedBy(gone, logged);
  assert.deepEqual(device.results(logged), [4 * KIB]);
  const sent = askedBy(gone, device.write(4 * KIB, { fill: 2 }));
  unit.cut();
  let stopped = false;
  unit.stop(() => stopped = true);
  bench.until(() => stopped);
  bench.until(() => leg.status().state === "away");
  const left = askedBy(
    gone,
    device.write(8 * KIB, { fill: 3 }),
    device.write(12 * KIB, { fill: 3, fua: true }),
    device.zero(0, 4 * KIB),
    device.discard(4 * KIB, 4 * KIB),
    device.read(0),
    device.flush(),
  );
  const kept = askedBy(there, device.write(8 * KIB, { fill: 4 }), device.flush());
  linear.letGo(gone);
  assert.ok(left.every((request) => !request.isDone), "a device ends nothing within a call");
  assert.deepEqual(device.results(...left), left.map(() => ESHUTDOWN));
  bench.pass(1000);
  assert.ok([...sent, ...kept].every((request) => !request.isDone));
  unit.device.forget();
  unit.boot++;
  unit.start();
  assert.deepEqual(device.results(...sent, ...kept), [4 * KIB, 4 * KIB, 0]);
  assert.deepEqual([0, 4, 8, 12].map((at) => device.fillOf(at * KIB)), [1, 2, 4, 0]);
  bench.end([leg], [unit]);
});

Deno.test("a leg that loses its unit ends the reads and flushes of who has gone, not their changes", () => {
  const bench = new LegBench();
  const unit = bench.unit({ sizeBytes: SIZE_BYTES });
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  const gone = { hasGone: false, sinceMs: 0 };
  const there = { hasGone: false, sinceMs: 0 };
  const logged = device.write(0, { fill: 1 });
  assert.deepEqual(device.results(logged), [4 * KIB]);
  const asks = (asker: Asker, at: number) => ({
    changes: askedBy(asker, device.write(at, { fill: 2 }), device.discard(at + 4 * KIB, 4 * KIB)),
    others: askedBy(asker, device.read(0), device.flush(asker)),
  });
  const left = asks(gone, 8 * KIB);
  const kept = asks(there, 16 * KIB);
  // All of it is on its way, and the unit never sees it.
  unit.cut();
  gone.hasGone = true;
  leg.letGo(gone);
  let stopped = false;
  unit.stop(() => stopped = true);
  bench.until(() => stopped && leg.status().state === "away");
  assert.deepEqual(device.results(...left.others), [ESHUTDOWN, ESHUTDOWN]);
  bench.pass(1000);
  const waiting = [...left.changes, ...kept.changes, ...kept.others];
  assert.ok(waiting.every((request) => !request.isDone));
  unit.start();
  assert.deepEqual(device.results(...waiting), [4 * KIB, 0, 4 * KIB, 0, 4 * KIB, 0]);
  assert.deepEqual([0, 8, 16].map((at) => device.fillOf(at * KIB)), [1, 2, 2]);
  bench.end([leg], [unit]);
});
