import assert from "node:assert/strict";
import fc from "fast-check";
import { KIB } from "../../protocol/core/limits.ts";
import { type BudgetHolder, LogBudget } from "./leg_log_budget.ts";
import { DeviceBench, LegBench } from "./testing_leg.ts";

class Holder implements BudgetHolder {
  heldBytes = 0;
  told = 0;
  readonly roomChanged = () => void this.told++;
}

Deno.test("LogBudget gives no log more than it leaves for others, and the last part to none twice", () => {
  const budget = new LogBudget(1000, 100);
  const [first, second, third] = [new Holder(), new Holder(), new Holder()];
  assert.equal(budget.take(first, 460), false, "it would have more than is free for others");
  assert.equal(budget.take(first, 450), true);
  assert.equal(budget.take(first, 1), false);
  assert.equal(budget.take(second, 225), true);
  assert.equal(budget.take(third, 112), true);
  assert.equal(budget.take(third, 1), false);
  const late = new Holder();
  assert.equal(budget.take(late, 101), false, "nobody asks for more at a time than the last part");
  assert.equal(budget.take(late, 100), true, "who holds nothing may have of the last part");
  assert.equal(budget.take(new Holder(), 100), true);
  assert.equal(budget.take(new Holder(), 14), false);
  assert.equal(budget.take(new Holder(), 13), true);
  assert.equal(budget.usedBytes, 1000);
});

Deno.test("LogBudget tells all logs when one waits, and who waits when there is room", () => {
  const budget = new LogBudget(1000, 100);
  const [holder, waiter] = [new Holder(), new Holder()];
  budget.join(holder);
  budget.join(waiter);
  assert.ok(budget.take(holder, 100));
  budget.wait(waiter);
  budget.wait(waiter);
  assert.deepEqual([holder.told, waiter.told, budget.isShort], [1, 0, true]);
  budget.giveBack(holder, 100);
  assert.deepEqual([holder.told, waiter.told, budget.isShort], [1, 1, false]);
  budget.leave(holder);
  budget.leave(waiter);
});

Deno.test("LogBudget never lends more than it has", () => {
  const step = fc.record({ who: fc.nat(4), bytes: fc.nat(400), gives: fc.boolean() });
  fc.assert(fc.property(fc.array(step), (steps) => {
    const budget = new LogBudget(1000, 100);
    const holders = Array.from({ length: 5 }, () => new Holder());
    for (const { who, bytes, gives } of steps) {
      const holder = holders[who]!;
      if (gives) budget.giveBack(holder, Math.min(bytes, holder.heldBytes));
      else budget.take(holder, bytes);
      assert.ok(budget.usedBytes <= 1000);
      assert.equal(budget.usedBytes, holders.reduce((sum, { heldBytes }) => sum + heldBytes, 0));
    }
  }));
});

const BUDGET_BYTES = 160 * KIB;

/** Two disks whose logs share little memory; each write takes 4 KiB of it. */
function twoLegs(bench: LegBench) {
  const logBudget = new LogBudget(BUDGET_BYTES, 64 * KIB);
  const units = [bench.unit(), bench.unit()] as const;
  const legs = units.map((unit) => bench.ready(bench.leg(unit, { logBudget })));
  const devices = legs.map((leg) => new DeviceBench(bench, leg)) as [DeviceBench, DeviceBench];
  return { logBudget, units, legs, devices };
}

Deno.test("writers that find the shared memory used up make all logs flush, and lose nothing", () => {
  const bench = new LegBench();
  const { logBudget, units, legs, devices } = twoLegs(bench);
  const writes = devices.flatMap((device, n) =>
    Array.from({ length: 60 }, (_, i) => device.write(i * 4 * KIB, { fill: i + 1 + n }))
  );
  bench.until(() => {
    assert.ok(logBudget.usedBytes <= BUDGET_BYTES);
    return writes.every((write) => write.isDone);
  });
  assert.deepEqual(devices[0].results(...writes), writes.map(() => 4 * KIB));
  for (const unit of units) {
    assert.ok(unit.device.seen.some(({ kind }) => kind === "flush"));
    unit.reboot();
  }
  devices.forEach((device, n) => {
    for (let i = 0; i < 60; i++) assert.equal(device.fillOf(i * 4 * KIB), i + 1 + n);
  });
  bench.end(legs, units);
  assert.equal(logBudget.usedBytes, 0);
});

Deno.test("a disk whose unit is away with its share does not hold up the others", () => {
  const bench = new LegBench();
  const { logBudget, units, legs, devices } = twoLegs(bench);
  const [away, there] = devices;
  const before = Array.from({ length: 10 }, (_, i) => away.write(i * 4 * KIB, { fill: i + 1 }));
  away.results(...before);
  let isDown = false;
  units[0].stop(() => isDown = true);
  bench.until(() => isDown && !legs[0]!.isReady);
  const held = logBudget.usedBytes;
  assert.ok(held > 0, "what was not flushed is kept");
  const writes = Array.from({ length: 60 }, (_, i) => there.write(i * 4 * KIB, { fill: i + 7 }));
  there.results(...writes);
  units[0].device.forget();
  units[0].boot++;
  units[0].start();
  bench.ready(legs[0]!);
  for (let i = 0; i < 10; i++) assert.equal(away.fillOf(i * 4 * KIB), i + 1);
  bench.end(legs, units);
});

Deno.test("units that are away with all the memory hold no other disk up, nor is what it writes lost", () => {
  const bench = new LegBench();
  const logBudget = new LogBudget(128 * KIB, 64 * KIB);
  const units = [bench.unit(), bench.unit(), bench.unit()] as const;
  const legs = units.map((unit) => bench.ready(bench.leg(unit, { logBudget })));
  const [first, second, there] = legs.map((leg) => new DeviceBench(bench, leg)) as [
    DeviceBench,
    DeviceBench,
    DeviceBench,
  ];
  // Each log holds nothing before, so each may have of the last part.
  for (const away of [first, second]) away.results(away.write(0, { length: 64 * KIB, fill: 1 }));
  assert.equal(logBudget.usedBytes, 128 * KIB);
  let down = 0;
  for (const unit of units.slice(0, 2)) unit.stop(() => down++);
  bench.until(() => down === 2 && !legs[0]!.isReady && !legs[1]!.isReady);
  const writes = Array.from({ length: 20 }, (_, i) => there.write(i * 4 * KIB, { fill: i + 1 }));
  const zeroes = there.zero(4 * KIB, 4 * KIB);
  const again = there.write(0, { fill: 99 });
  assert.deepEqual(there.results(...writes, again), [...writes, again].map(() => 4 * KIB));
  assert.deepEqual(there.results(zeroes, there.flush()), [0, 0]);
  units[2].reboot();
  // Under way while the connection is lost: repeated, as durably.
  const late = there.write(8 * KIB, { fill: 77 });
  assert.deepEqual(there.results(late), [4 * KIB]);
  units[2].reboot();
  assert.equal(there.fillOf(0), 99);
  assert.equal(there.fillOf(4 * KIB), 0);
  assert.equal(there.fillOf(8 * KIB), 77);
  for (let i = 3; i < 20; i++) assert.equal(there.fillOf(i * 4 * KIB), i + 1);
  for (const unit of units.slice(0, 2)) unit.reboot();
  assert.equal(first.fillOf(0, 64 * KIB), 1);
  assert.equal(second.fillOf(0, 64 * KIB), 1);
  bench.end(legs, units);
});
