import assert from "node:assert/strict";
import { ATTACHMENTS_PER_RUN } from "../../protocol/core/limits.ts";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";

/** Attachment numbers of a leg: none is used twice, and there are always more. */

Deno.test("attachment numbers that are used up are said, and nothing more is tried", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit, { attachments: { first: 1, end: 3 } }));
  unit.cut();
  bench.until(() => unit.attachments.length === 2);
  bench.ready(leg);
  unit.cut();
  bench.until(() => leg.status().state === "refused");
  assert.match(leg.status().reason ?? "", /used up/);
  assert.deepEqual(unit.attachments, [1, 2]);
  bench.end([leg], [unit]);
});

Deno.test("a leg whose numbers were used up while its unit was away goes on with others", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const outrun: number[] = [];
  const attachments = { first: 1, end: 4 };
  const leg = bench.ready(bench.leg(unit, { attachments, outrun: (above) => outrun.push(above) }));
  unit.stop(() => {});
  // They are asked for again until they come.
  bench.until(() => outrun.length === 2);
  assert.deepEqual(outrun, [3, 3]);
  assert.match(leg.status().reason ?? "", /used up; others are being reserved/);
  unit.start();
  leg.renumber({ first: 10, end: 20 });
  bench.ready(leg);
  assert.deepEqual(unit.attachments, [1, 10]);
  bench.end([leg], [unit]);
});

Deno.test("a leg goes above the number that its unit names, with numbers reserved for that", () => {
  for (const seen of [1500, 1999, 5_000_000]) {
    const bench = new LegBench();
    const unit = bench.unit();
    unit.seen(seen);
    const outrun: number[] = [];
    const leg = bench.leg(unit, {
      outrun: (attachment) => {
        outrun.push(attachment);
        leg.renumber({ first: attachment + 7, end: attachment + 100 });
      },
    });
    bench.ready(leg);
    assert.deepEqual(outrun, seen < 1999 ? [] : [seen]);
    assert.deepEqual(unit.attachments, [seen < 1999 ? seen + 1 : seen + 7]);
    bench.end([leg], [unit]);
  }
});

Deno.test("a leg does not push out another copy of its host, whose number is higher", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  unit.seen(1500);
  const first = bench.ready(bench.leg(unit, { attachments: { first: 1600, end: 1700 } }));
  const outrun: number[] = [];
  const second = bench.leg(unit, { outrun: (attachment) => outrun.push(attachment) });
  bench.until(() => second.status().reason !== undefined, "the refusal");
  bench.pass(20_000);
  assert.match(second.status().reason!, /another copy of this host uses the disk/);
  assert.deepEqual([first.isReady, second.isReady], [true, false]);
  assert.deepEqual([unit.attachments, outrun], [[1600], []]);
  bench.end([first, second], [unit]);
});

Deno.test("a leg that another copy of its host had after it writes nothing over that, and says so", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const attachments = { first: 1000, end: 3 * ATTACHMENTS_PER_RUN };
  const leg = bench.ready(bench.leg(unit, { attachments }));
  const device = new DeviceBench(bench, leg);
  device.results(device.write(0, { fill: 1 }), device.write(8 * KIB, { fill: 2 }));
  unit.seen(2 * ATTACHMENTS_PER_RUN + 500);
  unit.device.bytes.fill(9, 0, 4 * KIB);
  // Whatever was not flushed would be replayed.
  unit.restart();
  bench.until(() => unit.attachments.length === 2);
  bench.ready(leg);
  assert.equal(unit.attachments[1], 2 * ATTACHMENTS_PER_RUN);
  assert.equal(unit.device.bytes[0], 9, "what the other copy wrote is there");
  assert.deepEqual(device.results(device.flush()), [-5]);
  assert.deepEqual(device.results(device.flush()), [0]);
  assert.equal(bench.log("Another copy of this host has used the disk").length, 1);
  // A number of its own is no news, and neither is another copy that was there before it.
  unit.cut();
  bench.until(() => unit.attachments.length === 3);
  bench.ready(leg);
  assert.deepEqual(device.results(device.flush()), [0]);
  bench.end([leg], [unit]);
});

for (const restart of ["reboot", "restart"] as const) {
  Deno.test(`a host that was cut off writes nothing over what its copy flushed, after a unit's ${restart}`, () => {
    const bench = new LegBench();
    const unit = bench.unit();
    const others: number[] = [];
    const runs = 3 * ATTACHMENTS_PER_RUN;
    const first = bench.ready(bench.leg(unit, {
      attachments: { first: runs, end: runs + ATTACHMENTS_PER_RUN },
      outrun: (above) => others.push(above),
    }));
    const old = new DeviceBench(bench, first);
    assert.deepEqual(old.results(old.write(0, { fill: 1 })), [4 * KIB]);
    first.update(assignmentOf(unit, { addresses: ["127.0.0.1:1"] }));
    unit.cut();
    bench.until(() => !first.isReady);
    const end = runs + 6 * ATTACHMENTS_PER_RUN;
    const attachments = { first: runs + 5 * ATTACHMENTS_PER_RUN, end };
    const copy = bench.ready(bench.leg(unit, { attachments }));
    const device = new DeviceBench(bench, copy);
    assert.deepEqual(device.results(device.write(0, { fill: 9 })), [4 * KIB]);
    assert.deepEqual(device.results(device.flush()), [0]);
    let isClosed = false;
    copy.close(() => isClosed = true);
    bench.until(() => isClosed);
    unit[restart]();
    first.update(assignmentOf(unit));
    bench.until(() => others.length > 0, "the refusal");
    assert.ok(others[0]! >= attachments.first - 1);
    first.renumber({ first: end, end: end + ATTACHMENTS_PER_RUN });
    bench.ready(first);
    assert.equal(unit.device.durable[0], 9, "what was flushed is there");
    assert.equal(old.fillOf(0), 9);
    assert.equal(bench.log("Another copy of this host has used the disk").length, 1);
    assert.deepEqual(old.results(old.flush()), [-5]);
    assert.deepEqual(old.results(old.flush()), [0]);
    bench.end([first], [unit]);
  });
}
