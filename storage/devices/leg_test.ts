import assert from "node:assert/strict";
import { bytesEqual } from "../../protocol/core/bytes.ts";
import { ForgetfulDevice } from "../nbd/testing_forgetful.ts";
import { FaultProxy, overwrite } from "../nbd/testing_proxy.ts";
import { assignmentOf, DeviceBench, KIB, LegBench } from "./testing_leg.ts";

const EIO = -5;

Deno.test("a leg attaches, and pipelined writes and reads arrive where they should", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  const writes = Array.from(
    { length: 64 },
    (_, i) => device.write(i * 4 * KIB, { fill: i + 1 }),
  );
  assert.deepEqual(device.results(...writes), writes.map(() => 4 * KIB));
  const reads = Array.from({ length: 64 }, (_, i) => device.read(i * 4 * KIB));
  bench.until(() => reads.every((read) => read.isDone));
  reads.forEach((read, i) => assert.ok(read.bytes.every((byte) => byte === i + 1)));
  device.results(...reads);
  assert.deepEqual(device.results(device.zero(0, 8 * KIB), device.discard(8 * KIB, 4 * KIB)), [
    0,
    0,
  ]);
  assert.equal(device.fillOf(0, 12 * KIB), 0);
  assert.equal(device.fillOf(12 * KIB), 4);
  assert.equal(leg.isDirty, true);
  assert.deepEqual(device.results(device.flush()), [0]);
  assert.equal(leg.isDirty, false);
  bench.end([leg], [unit]);
});

Deno.test("large payloads go both ways whole", () => {
  const bench = new LegBench({ large: true });
  const unit = bench.unit({ sizeBytes: 2048 * KIB });
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  const write = device.write(3 * KIB, { length: 1000 * KIB, fill: 9 });
  write.bytes[0] = 1;
  write.bytes[write.length - 1] = 2;
  const read = device.read(0, 20 * KIB);
  assert.deepEqual(device.results(write, read), [1000 * KIB, 20 * KIB]);
  const whole = device.read(3 * KIB, 1000 * KIB);
  bench.until(() => whole.isDone);
  assert.equal(whole.bytes[0], 1);
  assert.equal(whole.bytes[whole.length - 1], 2);
  assert.ok(whole.bytes.subarray(1, whole.length - 1).every((byte) => byte === 9));
  device.results(whole);
  bench.end([leg], [unit]);
});

Deno.test("a connection cut all over an exchange: every write is there, once", () => {
  const lengths = { toUnit: 0, toHost: 0 };
  const run = (direction: "toUnit" | "toHost" | null, cutAfter: number) => {
    const bench = new LegBench();
    const unit = bench.unit({ sizeBytes: 64 * KIB });
    const to = { address: "127.0.0.1", port: unit.port };
    const count = (which: "toUnit" | "toHost") => ({
      change: (bytes: Uint8Array, at: number) => {
        if (direction === null) lengths[which] = at + bytes.length;
        return bytes;
      },
    });
    const proxy = new FaultProxy(bench.io, {
      to,
      plan: (connection) => {
        if (direction === null) return { toUnit: count("toUnit"), toHost: count("toHost") };
        return connection > 0 ? {} : { [direction]: { cutAfter } };
      },
    });
    const leg = bench.leg(unit, { addresses: [proxy.address] });
    const device = new DeviceBench(bench, leg);
    const requests = [
      device.write(0, { length: 512, fill: 1 }),
      device.write(512, { length: 512, fill: 2 }),
      device.write(0, { length: 1024, fill: 3 }),
      device.read(0, 1024),
      device.zero(256, 256),
      device.flush(),
    ];
    assert.deepEqual(device.results(...requests), [512, 512, 1024, 1024, 0, 0]);
    assert.equal(device.fillOf(0, 256), 3);
    assert.equal(device.fillOf(256, 256), 0);
    assert.equal(device.fillOf(512, 512), 3);
    // Each number was used once, and they rise.
    assert.deepEqual(unit.attachments, [...new Set(unit.attachments)].sort((a, b) => a - b));
    bench.end([leg], [unit]);
  };
  run(null, 0);
  assert.ok(lengths.toUnit > 2000 && lengths.toHost > 1000);
  const places = (length: number) => {
    const dense = Array.from({ length: 150 }, (_, i) => 2 * i + 1);
    const sparse = [];
    for (let at = 301; at < length; at += 97) sparse.push(at);
    return [...dense, ...sparse];
  };
  for (const at of places(lengths.toUnit)) run("toUnit", at);
  for (const at of places(lengths.toHost)) run("toHost", at);
});

Deno.test("a rebooted unit gets replayed the newest of what was acknowledged and not flushed", () => {
  const bench = new LegBench({ large: true });
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  device.results(device.write(0, { fill: 1 }));
  device.results(device.flush());
  device.results(device.write(0, { fill: 2 }), device.write(200 * KIB, { fill: 7, fua: true }));
  device.results(device.write(2 * KIB, { fill: 3 }), device.zero(5 * KIB, 1 * KIB));
  device.results(device.write(64 * KIB, { length: 130 * KIB, fill: 5 }));
  unit.device.seen.length = 0;
  unit.reboot();
  const read = device.read(0, 2 * KIB);
  assert.deepEqual(device.results(read), [2 * KIB]);
  assert.deepEqual(
    unit.device.seen.map(({ kind, position, length, stamp }) => [kind, position, length, stamp]),
    [
      ["write", 0, 2 * KIB, 2],
      ["write", 200 * KIB, 4 * KIB, 7],
      ["write", 2 * KIB, 3 * KIB, 3],
      ["zero", 5 * KIB, 1 * KIB, 0],
      ["write", 64 * KIB, 64 * KIB, 5],
      ["write", 128 * KIB, 64 * KIB, 5],
      ["write", 192 * KIB, 2 * KIB, 5],
      ["flush", 0, 0, 0],
    ],
  );
  assert.equal(device.fillOf(0, 2 * KIB), 2);
  assert.equal(device.fillOf(2 * KIB, 3 * KIB), 3);
  assert.equal(device.fillOf(5 * KIB, 1 * KIB), 0);
  assert.equal(leg.isDirty, false);
  assert.ok(bytesEqual(unit.device.durable, unit.device.bytes));
  bench.end([leg], [unit]);
});

Deno.test("an unchanged verifier replays nothing", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit));
  const device = new DeviceBench(bench, leg);
  device.results(device.write(0, { fill: 1 }));
  unit.device.seen.length = 0;
  unit.cut();
  device.results(device.write(8 * KIB, { fill: 2 }));
  assert.deepEqual(unit.device.seen.map((seen) => seen.position), [8 * KIB]);
  assert.equal(leg.holdsUnflushed, true);
  bench.end([leg], [unit]);
});

Deno.test("a replay that is cut starts anew, and a unit that cannot take it is asked again", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const proxy = new FaultProxy(bench.io, {
    to: { address: "127.0.0.1", port: unit.port },
    // The second connection dies in its replay.
    plan: (connection) => connection === 1 ? { toUnit: { cutAfter: 30 * KIB } } : {},
  });
  const leg = bench.ready(bench.leg(unit, { addresses: [proxy.address] }));
  const device = new DeviceBench(bench, leg);
  for (let i = 0; i < 40; i++) device.results(device.write(i * 4 * KIB, { fill: i + 1 }));
  unit.reboot();
  for (let i = 0; i < 40; i++) assert.equal(device.fillOf(i * 4 * KIB), i + 1);
  assert.equal(proxy.connections, 3);
  device.results(device.write(0, { fill: 77 }));
  unit.device.writeErrno = 5;
  unit.reboot();
  const read = device.read(0);
  bench.pass(5000);
  assert.equal(read.isDone, false);
  unit.device.writeErrno = 0;
  bench.until(() => read.isDone);
  assert.equal(read.bytes[0], 77);
  device.results(read);
  bench.end([leg], [unit]);
});

Deno.test("I/O fails with EIO when the wait is over, said once, and works when the unit is back", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const leg = bench.ready(bench.leg(unit, { ioTimeoutMs: 2000 }));
  const device = new DeviceBench(bench, leg);
  device.results(device.write(0, { fill: 1 }));
  let stopped = false;
  unit.stop(() => stopped = true);
  bench.until(() => stopped);
  const waiting = [device.write(4 * KIB, { fill: 2 }), device.read(0), device.flush()];
  bench.pass(1000);
  assert.ok(waiting.every((request) => !request.isDone));
  assert.deepEqual(device.results(...waiting), [EIO, EIO, EIO]);
  assert.equal(bench.world.nowMs >= 2000, true);
  assert.deepEqual(device.results(device.read(0), device.flush()), [EIO, EIO]);
  bench.pass(20_000);
  assert.equal(bench.log("away for too long").length, 1);
  assert.equal(leg.status().state, "away");
  unit.device.forget();
  unit.boot++;
  unit.start();
  bench.ready(leg);
  assert.equal(device.fillOf(0), 1);
  assert.equal(device.fillOf(4 * KIB), 0);
  assert.deepEqual(device.results(device.flush()), [0]);
  bench.end([leg], [unit]);
});

Deno.test("fenced and denied fail at once and say why; other refusals are waited out", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  unit.refusal = "busy";
  const leg = bench.leg(unit, { ioTimeoutMs: 30_000 });
  const device = new DeviceBench(bench, leg);
  const early = device.read(0);
  for (const refusal of ["unknown", "draining", "superseded"] as const) {
    bench.pass(3000);
    assert.match(leg.status().reason ?? "", /the unit refused/);
    unit.refusal = refusal;
  }
  unit.refusal = null;
  assert.deepEqual(device.results(early), [4 * KIB]);
  for (const refusal of ["fenced", "denied"] as const) {
    unit.refusal = refusal;
    unit.cut();
    assert.deepEqual(device.results(device.read(0)), [EIO]);
    assert.equal(leg.status().state, "refused");
    assert.match(leg.status().reason ?? "", new RegExp(`${refusal} \\(as the test wants\\)`));
    assert.deepEqual(device.results(device.write(0, { fill: 3 })), [EIO]);
    unit.refusal = null;
    leg.update(assignmentOf(unit));
    bench.ready(leg);
  }
  bench.end([leg], [unit]);
});

Deno.test("a unit with another key is never written to", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const other = bench.unit({ keySeed: 5 });
  const assignment = assignmentOf(unit, { addresses: [other.address] });
  const leg = bench.leg(unit, { assignment, ioTimeoutMs: 3000 });
  const device = new DeviceBench(bench, leg);
  assert.deepEqual(device.results(device.write(0, { fill: 1 })), [EIO]);
  assert.equal(leg.isReady, false);
  assert.deepEqual(other.device.seen, []);
  bench.end([leg], [unit, other]);
});

Deno.test("an impostor that answers without the unit's key is not believed", () => {
  const bench = new LegBench();
  const unit = bench.unit();
  const proxy = new FaultProxy(bench.io, {
    to: { address: "127.0.0.1", port: unit.port },
    // In Noise's message 2, behind greeting, challenge (52 + 20) and a reply's header.
    plan: () => ({ toHost: { change: overwrite(18 + 72 + 20 + 40, new Uint8Array(4)) } }),
  });
  const leg = bench.leg(unit, { addresses: [proxy.address], ioTimeoutMs: 3000 });
  const device = new DeviceBench(bench, leg);
  assert.deepEqual(device.results(device.write(0, { fill: 1 })), [EIO]);
  assert.match(leg.status().reason ?? "", /could not prove/);
  assert.deepEqual(unit.device.seen, []);
  bench.end([leg], [unit]);
});

Deno.test("a volume of another size is not used: smaller is refused, larger is waited for", () => {
  const bench = new LegBench();
  const unit = bench.unit({ sizeBytes: 128 * KIB });
  const larger = { ...assignmentOf(unit), sizeBytes: 256 * KIB };
  const leg = bench.leg(unit, { assignment: larger });
  bench.until(() => leg.status().state === "refused");
  assert.match(leg.status().reason ?? "", /131072 bytes/);
  const smaller = { ...assignmentOf(unit), sizeBytes: 64 * KIB };
  const second = bench.leg(unit, { assignment: smaller, attachments: { first: 5000, end: 6000 } });
  bench.pass(1000);
  assert.equal(second.status().state, "connecting");
  assert.deepEqual(unit.device.seen, []);
  second.update(assignmentOf(unit));
  bench.ready(second);
  bench.end([leg, second], [unit]);
});

Deno.test("a unit that proves one size of a volume and serves another is not used", () => {
  for (const sizeBytes of [64 * KIB, 256 * KIB]) {
    const bench = new LegBench();
    const unit = bench.unit({ sizeBytes: 128 * KIB });
    const find = unit.find.bind(unit);
    unit.find = (connection, name) => ({
      ...find(connection, name),
      device: new ForgetfulDevice(bench.io, sizeBytes),
    });
    const leg = bench.leg(unit);
    bench.until(() => /told two sizes/.test(leg.status().reason ?? ""));
    assert.notEqual(leg.status().state, "ready");
    bench.end([leg], [unit]);
  }
});
