import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../protocol/core/bytes.ts";
import { FaultProxy, overwrite } from "../nbd/testing_proxy.ts";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";

const EIO = -5;

function proxyTo(
  bench: LegBench,
  unit: FakeUnit,
  plan: ConstructorParameters<typeof FaultProxy>[1]["plan"],
) {
  return new FaultProxy(bench.io, { to: { address: "127.0.0.1", port: unit.port }, plan });
}

/** Bytes that the unit has sent before the first reply. */
function lengthOfAttaching(): number {
  const bench = new LegBench();
  const unit = bench.unit();
  let length = 0;
  const proxy = proxyTo(bench, unit, () => ({
    toHost: {
      change: (bytes, at) => {
        length = at + bytes.length;
        return bytes;
      },
    },
  }));
  const leg = bench.ready(bench.leg(unit, { addresses: [proxy.address] }));
  const attaching = length;
  bench.end([leg], [unit]);
  return attaching;
}

Deno.test("garbage, wrong cookies and bytes nobody asked for end the connection, and I/O goes on", () => {
  const start = lengthOfAttaching();
  const faults = [
    overwrite(start, Uint8Array.of(1, 2, 3, 4)), // the magic
    overwrite(start + 8, Uint8Array.of(0xff)), // the cookie's number
    overwrite(start + 12, Uint8Array.of(0xff, 0xff)), // the cookie's slot
    overwrite(start + 15, Uint8Array.of(5)), // a slot that holds nothing
    // A reply that comes twice.
    (bytes: Uint8Array, at: number) => at === start ? concat(bytes, bytes.slice(0, 16)) : bytes,
    // More after GO's answer than was asked for.
    (bytes: Uint8Array, at: number) =>
      at + bytes.length === start ? concat(bytes, new Uint8Array(5)) : bytes,
    // 100,000 bytes of one kind.
    (bytes: Uint8Array, at: number) =>
      at >= start ? concat(bytes, new Uint8Array(60 * KIB).fill(0x67)) : bytes,
  ];
  for (const change of faults) {
    const bench = new LegBench();
    const unit = bench.unit();
    const proxy = proxyTo(bench, unit, (n) => n === 0 ? { toHost: { change } } : {});
    const leg = bench.leg(unit, { addresses: [proxy.address] });
    const device = new DeviceBench(bench, leg);
    assert.deepEqual(device.results(device.write(0, { fill: 6 })), [4 * KIB]);
    assert.equal(device.fillOf(0), 6);
    assert.equal(proxy.connections, 2);
    bench.end([leg], [unit]);
  }
});

Deno.test("a unit that falls silent is left after the reply timeout, and its requests repeated", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const start = lengthOfAttaching();
  // The reply to a read stops in the middle of its payload, which is no hole.
  unit.device.bytes.fill(7, 0, 4 * KIB);
  const proxy = proxyTo(
    bench,
    unit,
    (n) => n === 0 ? { toHost: { muteAfter: start + 16 + 100 } } : {},
  );
  const leg = bench.ready(bench.leg(unit, { addresses: [proxy.address], replyTimeoutMs: 4000 }));
  const device = new DeviceBench(bench, leg);
  const beganMs = bench.world.nowMs;
  const requests = [device.read(0), device.write(8 * KIB, { fill: 3 }), device.flush()];
  assert.deepEqual(device.results(...requests), [4 * KIB, 4 * KIB, 0]);
  assert.ok(bench.world.nowMs - beganMs >= 4000 && bench.world.nowMs - beganMs < 8000);
  assert.equal(unit.attachments.length, 2);
  bench.end([leg], [unit]);
});

Deno.test("a unit that lets in and never answers holds no request for ever", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const start = lengthOfAttaching();
  const proxy = proxyTo(bench, unit, () => ({ toHost: { muteAfter: start } }));
  const timeouts = { ioTimeoutMs: 3000, replyTimeoutMs: 1000 };
  const leg = bench.ready(bench.leg(unit, { addresses: [proxy.address], ...timeouts }));
  const device = new DeviceBench(bench, leg);
  assert.deepEqual(device.results(device.read(0), device.write(0, { fill: 1 })), [EIO, EIO]);
  assert.ok(bench.world.nowMs < 20_000);
  bench.end([leg], [unit]);
});

Deno.test("a unit that does not answer while attaching is left at the deadline", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  unit.deaf = true;
  const leg = bench.leg(unit, { attachTimeoutMs: 500 });
  const device = new DeviceBench(bench, leg);
  const read = device.read(0);
  bench.pass(3000);
  assert.match(leg.status().reason ?? "", /did not let us in within 500 ms/);
  unit.deaf = false;
  assert.deepEqual(device.results(read), [4 * KIB]);
  bench.end([leg], [unit]);
});

Deno.test("after a failed flush, flushes and FUA fail until everything was replayed", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  device.results(device.write(0, { fill: 1 }));
  unit.device.flushErrno = 5;
  assert.deepEqual(device.results(device.flush()), [EIO]);
  // Linux tells of a lost write once; the next sync would succeed and lie.
  unit.device.flushErrno = 0;
  unit.device.seen.length = 0;
  assert.deepEqual(device.results(device.flush()), [EIO]);
  assert.deepEqual(device.results(device.write(8 * KIB, { fill: 2, fua: true })), [EIO]);
  assert.deepEqual(device.results(device.write(8 * KIB, { fill: 2 })), [4 * KIB]);
  assert.equal(device.fillOf(0), 1);
  assert.deepEqual(unit.device.seen.map((seen) => seen.kind), ["write"]);
  unit.cut();
  bench.until(() => unit.attachments.length === 2);
  bench.ready(leg);
  assert.deepEqual(device.results(device.flush()), [0]);
  assert.deepEqual(unit.device.seen.map((seen) => seen.kind).slice(0, 4), [
    "write",
    "write",
    "write",
    "flush",
  ]);
  assert.equal(bench.log("A flush failed").length, 1);
  bench.end([leg], [unit]);
});

Deno.test("a full log makes the leg flush by itself, and holds writes back until there is room", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit, { logBytes: 32 * KIB }));
  const device = new DeviceBench(bench, leg);
  const writes = Array.from({ length: 60 }, (_, i) => device.write(i * 4 * KIB, { fill: i + 1 }));
  assert.deepEqual(device.results(...writes), writes.map(() => 4 * KIB));
  const seen = unit.device.seen.map((one) => one.kind);
  assert.ok(seen.filter((kind) => kind === "flush").length >= 6);
  unit.reboot();
  for (let i = 0; i < 60; i++) assert.equal(device.fillOf(i * 4 * KIB), i + 1);
  bench.end([leg], [unit]);
});

Deno.test("any bytes in any pieces from the unit neither hang nor break a leg", () => {
  const start = lengthOfAttaching();
  const anyFault = fc.record({
    place: fc.integer({ min: 0, max: start + 200 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    how: fc.constantFrom("overwrite", "insert", "cut"),
  });
  fc.assert(
    fc.property(fc.array(anyFault, { minLength: 1, maxLength: 4 }), fc.nat(3), (faults, size) => {
      const bench = new LegBench();
      bench.world.streamBytes = [1, 7, 100, 65536][size]!;
      const unit = bench.unit({ sizeBytes: 16 * KIB });
      const proxy = proxyTo(bench, unit, (n) => {
        const fault = faults[n];
        if (fault === undefined) return {};
        const { place, bytes, how } = fault;
        if (how === "cut") return { toHost: { cutAfter: place + 1 } };
        if (how === "overwrite") return { toHost: { change: overwrite(place, bytes) } };
        const insert = (run: Uint8Array, at: number) =>
          place >= at && place < at + run.length
            ? concat(run.slice(0, place - at), bytes, run.slice(place - at))
            : run;
        return { toHost: { change: insert } };
      });
      const leg = bench.leg(unit, { addresses: [proxy.address], replyTimeoutMs: 2000 });
      const device = new DeviceBench(bench, leg);
      const write = device.write(0, { length: 300, fill: 8 });
      const results = device.results(write, device.read(600, 100));
      // What the unit says is EIO is EIO; what was not answered is repeated.
      assert.ok(results[0] === 300 || results[0]! < 0);
      assert.ok(results[1] === 100 || results[1]! < 0);
      bench.end([leg], [unit]);
    }),
    { numRuns: 100 },
  );
});

Deno.test("a unit that moved is followed at once, with writes in flight to where it was", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  let isSilent = false;
  const old = new FaultProxy(bench.io, {
    to: { address: "127.0.0.1", port: unit.port },
    plan: () => ({ toUnit: { change: (bytes) => isSilent ? new Uint8Array() : bytes } }),
  });
  const leg = bench.ready(bench.leg(unit, { addresses: [old.address] }));
  const device = new DeviceBench(bench, leg);
  isSilent = true;
  const write = device.write(0, { fill: 4 });
  bench.pass(1000);
  assert.equal(write.isDone, false);
  leg.update(assignmentOf(unit, { addresses: [old.address, unit.address] }));
  bench.pass(1000);
  assert.equal(write.isDone, false, "the address in use is still one of the unit's");
  leg.update(assignmentOf(unit));
  bench.pass(1000);
  assert.equal(write.isDone, true);
  assert.deepEqual(device.results(write), [4 * KIB]);
  assert.equal(device.fillOf(0), 4);
  bench.end([leg], [unit]);
});

Deno.test("a host whose address is gone connects anew at once, with writes in flight", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const start = lengthOfAttaching();
  const proxy = proxyTo(bench, unit, (n) => n === 0 ? { toHost: { muteAfter: start } } : {});
  const leg = bench.ready(bench.leg(unit, { addresses: [proxy.address] }));
  const device = new DeviceBench(bench, leg);
  const write = device.write(0, { fill: 4 });
  bench.pass(1000);
  leg.addressesGone(["192.0.2.9"]);
  bench.pass(1000);
  assert.equal(write.isDone, false, "it does not come from there");
  leg.addressesGone(["192.0.2.9", "127.0.0.1"]);
  bench.pass(1000);
  assert.equal(write.isDone, true);
  assert.deepEqual(device.results(write), [4 * KIB]);
  assert.equal(device.fillOf(0), 4);
  assert.equal(unit.attachments.length, 2);
  bench.end([leg], [unit]);
});

Deno.test("a unit that moved while nobody answers at its old address is tried at the new one", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const silent = new FaultProxy(bench.io, {
    to: { address: "127.0.0.1", port: unit.port },
    plan: () => ({ toUnit: { change: () => new Uint8Array() } }),
  });
  const leg = bench.leg(unit, { addresses: [silent.address] });
  bench.pass(1000);
  assert.equal(leg.status().state, "connecting");
  leg.update(assignmentOf(unit));
  bench.pass(1000);
  assert.equal(leg.isReady, true);
  bench.end([leg], [unit]);
});
