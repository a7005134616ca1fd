import assert from "node:assert/strict";
import fc from "fast-check";
import type { Operation } from "../io/operation.ts";
import { resultOf } from "./device_contract.ts";
import { LinearDevice } from "./linear.ts";
import { MemoryDevice } from "./memory.ts";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";
import { NotingDevice } from "./testing_noting.ts";

const OTHER_VOLUME = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";

Deno.test("LinearDevice is one array of bytes, whatever its legs are", () => {
  const bench = new LegBench();
  const change = fc.record({
    kind: fc.constantFrom("write", "zero", "discard"),
    at: fc.nat(2999),
    length: fc.integer({ min: 1, max: 3000 }),
    fill: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 1, max: 999 }), { minLength: 1, maxLength: 5 }),
    fc.array(change, { maxLength: 20 }),
    (sizes, changes) => {
      const linear = new LinearDevice(sizes.map((sizeBytes) => ({
        // Legs that have grown beyond what this map knows of them.
        device: new MemoryDevice({ io: bench.io, sizeBytes: sizeBytes + 50 }),
        sizeBytes,
      })));
      const total = sizes.reduce((sum, size) => sum + size, 0);
      assert.equal(linear.traits.sizeBytes, total);
      const model = new Uint8Array(total);
      const device = new DeviceBench(bench, linear);
      for (const { kind, at, length, fill } of changes) {
        const position = at % total;
        const count = Math.min(length, total - position);
        if (kind === "write") {
          assert.deepEqual(device.results(device.write(position, { length: count, fill })), [
            count,
          ]);
        } else if (kind === "zero") {
          assert.deepEqual(device.results(device.zero(position, count)), [0]);
        } else {
          assert.deepEqual(device.results(device.discard(position, count)), [0]);
        }
        model.fill(kind === "write" ? fill : 0, position, position + count);
      }
      const whole = device.read(0, total);
      bench.until(() => whole.isDone);
      assert.deepEqual(whole.bytes, model);
      assert.deepEqual(device.results(whole, device.flush()), [total, 0]);
    },
  ));
  bench.end([], []);
});

Deno.test("a leg that is away holds up what needs it, and nothing else", () => {
  const bench = new LegBench();
  const units = [bench.unit(), bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 })];
  const legs = units.map((unit) => bench.ready(bench.leg(unit)));
  const sizeBytes = 256 * KIB;
  const linear = new LinearDevice(legs.map((device) => ({ device, sizeBytes })));
  const device = new DeviceBench(bench, linear);
  assert.deepEqual(device.results(device.write(254 * KIB, { fill: 4 })), [4 * KIB]);
  assert.deepEqual(device.results(device.flush()), [0]);
  assert.equal(units[0]!.device.durable[254 * KIB], 4);
  assert.equal(units[1]!.device.durable[2 * KIB - 1], 4);
  let stopped = false;
  units[1]!.stop(() => stopped = true);
  bench.until(() => stopped);
  // Nothing was written to the leg that is away since the last flush, so a flush does not need it.
  assert.deepEqual(device.results(device.write(0, { fill: 5 }), device.flush()), [4 * KIB, 0]);
  const across = device.write(254 * KIB, { fill: 6 });
  bench.pass(1000);
  assert.equal(across.isDone, false);
  assert.deepEqual(device.results(device.write(0, { fill: 7 })), [4 * KIB]);
  units[1]!.start();
  assert.deepEqual(device.results(across), [4 * KIB]);
  // Now the second leg has something unflushed.
  stopped = false;
  units[1]!.stop(() => stopped = true);
  bench.until(() => stopped);
  const flush = device.flush();
  bench.pass(1000);
  assert.equal(flush.isDone, false);
  // What is to be durable at its answer speaks for its own leg.
  assert.deepEqual(device.results(device.discard(0, 4 * KIB, { fua: true })), [0]);
  assert.equal(units[0]!.device.durable[0], 0);
  units[1]!.start();
  assert.deepEqual(device.results(flush), [0]);
  bench.end(legs, units);
});

Deno.test("what crosses from leg to leg with FUA is durable on both when it is answered", () => {
  const bench = new LegBench();
  const units = [bench.unit(), bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 })];
  const legs = units.map((unit) => bench.ready(bench.leg(unit)));
  const sizeBytes = 256 * KIB;
  const linear = new LinearDevice(legs.map((device) => ({ device, sizeBytes })));
  const device = new DeviceBench(bench, linear);
  const at = sizeBytes - 4 * KIB;
  const length = 8 * KIB;
  const durable = () => [units[0]!.device.durable[at], units[1]!.device.durable[0]];
  const write = (fill: number) => device.write(at, { length, fill, fua: true });
  assert.deepEqual(device.results(write(7)), [length]);
  assert.deepEqual(durable(), [7, 7]);
  assert.deepEqual(device.results(device.discard(at, length, { fua: true })), [0]);
  assert.deepEqual(durable(), [0, 0]);
  assert.deepEqual(device.results(write(8), device.zero(at, length, { fua: true })), [length, 0]);
  assert.deepEqual(durable(), [0, 0]);
  bench.end(legs, units);
});

Deno.test("LinearDevice hands every flag on, within a leg and from leg to leg", () => {
  const bench = new LegBench();
  const sizeBytes = 64 * KIB;
  const legs = [0, 1].map(() => new NotingDevice({ io: bench.io, sizeBytes }));
  const linear = new LinearDevice(legs.map((device) => ({ device, sizeBytes })));
  const off = bench.io.buffers.take(8 * KIB);
  const length = 8 * KIB;
  const expect = (seen: string, submit: (operation: Operation) => void, on: NotingDevice[]) => {
    assert.ok(resultOf(bench.io, submit) >= 0);
    for (const leg of legs) assert.deepEqual(leg.seen.splice(0), on.includes(leg) ? [seen] : []);
  };
  for (const [position, on] of [[0, [legs[0]!]], [sizeBytes - 4 * KIB, legs]] as const) {
    for (const fua of [true, false, true]) {
      expect(`write ${fua}`, (o) => linear.write(o, { off, length, position }, fua), [...on]);
      expect(`discard ${fua}`, (o) => linear.discard(o, { length, position }, fua), [...on]);
      for (const [mayDiscard, fast] of [[true, true], [true, false], [false, true]] as const) {
        const at = { position, length, mayDiscard, fast };
        expect(`zero ${mayDiscard} ${fast} ${fua}`, (o) => linear.zero(o, at, fua), [...on]);
      }
    }
  }
  bench.io.buffers.release(off);
  bench.end([], []);
});

Deno.test("a leg grows by a new attachment while I/O runs, and nothing of it is lost", () => {
  const bench = new LegBench();
  const unit = bench.unit({ sizeBytes: 64 * KIB });
  const leg = bench.ready(bench.leg(unit));
  const small = new LinearDevice([{ device: leg, sizeBytes: 64 * KIB }]);
  const device = new DeviceBench(bench, small);
  const before = Array.from({ length: 16 }, (_, i) => device.write(i * 4 * KIB, { fill: i + 1 }));
  bench.until(() => before.some((write) => write.isDone));
  const attachments = unit.attachments.length;
  unit.grow(128 * KIB);
  leg.update(assignmentOf(unit));
  const grown = new DeviceBench(bench, new LinearDevice([{ device: leg, sizeBytes: 128 * KIB }]));
  const after = [grown.write(100 * KIB, { fill: 99 }), device.write(0, { fill: 88 })];
  device.results(...before, ...after);
  assert.equal(unit.attachments.length, attachments + 1);
  assert.equal(grown.fillOf(100 * KIB), 99);
  assert.equal(device.fillOf(0), 88);
  assert.equal(small.traits.sizeBytes, 64 * KIB);
  assert.equal(bench.log("Lost the unit").length, 0);
  bench.end([leg], [unit]);
});

Deno.test("a flush of a device older than a leg covers and tells what others wrote and lost there", () => {
  const bench = new LegBench();
  const units = [bench.unit(), bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 })] as const;
  const legs = units.map((unit) => bench.ready(bench.leg(unit)));
  const sizeBytes = 256 * KIB;
  const mapped = legs.map((device) => ({ device, sizeBytes }));
  const [older, newer] = [mapped.slice(0, 1), mapped].map((of) =>
    new DeviceBench(bench, new LinearDevice(of, legs))
  ) as [DeviceBench, DeviceBench];
  const askers = ["writer", "reader", "other"].map(() => {
    return { hasGone: false, sinceMs: bench.io.nowMs() };
  });
  const [writer, reader, other] = askers;
  newer.results(newer.write(sizeBytes, { fill: 1 }));
  assert.deepEqual(older.results(older.flush(reader)), [0]);
  assert.equal(units[1].device.durable[0], 1);

  newer.results(newer.write(sizeBytes, { fill: 2 }));
  legs[1]!.update(assignmentOf(units[1], { counter: 2 }));
  bench.ready(legs[1]!);
  // Nobody's flush has told of it yet, then somebody's has; nothing is left there to be flushed.
  assert.deepEqual(older.results(older.flush(reader)), [-5]);
  assert.equal(legs[1]!.isDirty, false);
  assert.deepEqual(older.results(older.flush(other)), [-5]);
  assert.deepEqual(newer.results(newer.flush(writer)), [-5]);
  for (const asker of askers) assert.deepEqual(older.results(older.flush(asker)), [0]);
  const later = { hasGone: false, sinceMs: bench.io.nowMs() + 1 };
  assert.deepEqual(older.results(older.flush(later)), [0]);
  bench.end(legs, units);
});
