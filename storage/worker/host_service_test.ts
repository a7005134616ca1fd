import assert from "node:assert/strict";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { COMMAND, WIRE_ERROR } from "../../protocol/nbd/constants.ts";
import { nodeFigures } from "../counters/figures.ts";
import { CELL, LEG_CELL, TYPE } from "../counters/layout.ts";
import { KIB } from "../devices/testing_leg.ts";
import { ForgetfulDevice } from "../nbd/testing_forgetful.ts";
import { DISK, diskOf, HostBench, OTHER_VOLUME, SOCKET } from "./testing_host.ts";

const THIRD_VOLUME = "3f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";

Deno.test("a disk over two units is served on its socket, by its name and as the default", async () => {
  const host = new HostBench();
  const units = [host.bench.unit(), host.bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 })];
  const status = await host.attach(diskOf(units));
  assert.equal(status.state, "ready");
  assert.deepEqual(status.legs.map((leg) => leg.state), ["ready", "ready"]);
  const { consumer, sizeBytes } = await host.opened();
  assert.equal(sizeBytes, 512 * KIB);
  assert.equal(consumer.request(COMMAND.write, 254 * KIB, { fill: 7 }), 0);
  assert.equal(units[0]!.device.bytes[254 * KIB], 7);
  assert.equal(units[1]!.device.bytes[2 * KIB - 1], 7);
  const second = await host.opened("d1");
  assert.equal(second.consumer.request(COMMAND.read, 254 * KIB), 7);
  assert.match(String(await host.open("d2")), /serves "d1" only/);
  // The one that was turned away is gone soon.
  host.bench.until(() => nodeFigures(host.counters.read(), 0).connections === 2);
  const list = await host.service.diskList();
  assert.equal(list[0]!.connections, 2);
  assert.equal(nodeFigures(host.counters.read(), 0).writtenBytes, 4 * KIB);
  const leg = host.counters.read().find((row) => row.name === `${DISK} 0 u1`)!;
  assert.deepEqual([leg.cells[LEG_CELL.ready], leg.cells[LEG_CELL.attached]], [1, 1]);
  assert.equal(leg.cells[LEG_CELL.keptBytes], 2 * KIB, "until it is flushed");
  assert.equal(leg.cells[CELL.bytes + TYPE.write], 2 * KIB);
  await host.run(host.service.diskDetach({ diskId: DISK }));
  // What was not flushed was flushed at the end, and everybody was told.
  assert.equal(units[0]!.device.durable[254 * KIB], 7);
  host.bench.until(() => consumer.ended !== null && second.consumer.ended !== null);
  assert.equal(await host.run(host.promises.connectUnix(SOCKET)) < 0, true);
  assert.deepEqual(await host.service.diskList(), []);
  await host.end(units);
});

Deno.test("without its unit a disk has its socket and says that it waits; I/O runs later", async () => {
  const host = new HostBench();
  const unit = host.bench.unit();
  let stopped = false;
  unit.stop(() => stopped = true);
  host.bench.until(() => stopped);
  const status = await host.attach(diskOf([unit]));
  assert.equal(status.state, "waiting");
  assert.match(status.legs[0]!.reason ?? "", /cannot connect/);
  const { consumer } = await host.opened();
  unit.start();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 3 }), 0);
  const told = host.notices.flatMap((n) => n.notice === "disk-changed" ? [n.status.state] : []);
  assert.ok(told.includes("waiting") && told.at(-1) === "ready", told.join());
  consumer.connection.goodbye();
  host.bench.until(() => consumer.ended !== null);
  await host.end([unit]);
});

Deno.test("a grown disk: open connections keep their size, new ones see the new one", async () => {
  const host = new HostBench();
  const unit = host.bench.unit({ sizeBytes: 64 * KIB });
  const added = host.bench.unit({ sizeBytes: 32 * KIB, volumeId: OTHER_VOLUME, keySeed: 9 });
  await host.attach(diskOf([unit]));
  const before = await host.opened();
  assert.equal(before.consumer.request(COMMAND.write, 60 * KIB, { fill: 4 }), 0);
  unit.grow(128 * KIB);
  const status = await host.run(host.service.diskUpdate(diskOf([unit, added], 2)));
  assert.equal(status.state, "ready");
  assert.equal(status.sizeBytes, 160 * KIB);
  const after = await host.opened();
  assert.deepEqual([before.sizeBytes, after.sizeBytes], [64 * KIB, 160 * KIB]);
  assert.equal(after.consumer.request(COMMAND.write, 126 * KIB, { fill: 5 }), 0);
  assert.equal(added.device.bytes[2 * KIB - 1], 5);
  assert.equal(before.consumer.request(COMMAND.read, 60 * KIB), 4);
  assert.equal(before.consumer.request(COMMAND.write, 64 * KIB, { fill: 1 }), -28);
  // Whoever flushes has everybody's writes flushed, also on a leg that it does not see.
  assert.equal(after.consumer.request(COMMAND.write, 130 * KIB, { fill: 6 }), 0);
  assert.equal(before.consumer.request(COMMAND.flush, 0), 0);
  assert.equal(added.device.durable[2 * KIB], 6);
  for (const { consumer } of [before, after]) {
    consumer.connection.goodbye();
    host.bench.until(() => consumer.ended !== null);
  }
  await host.end([unit, added]);
});

Deno.test("a disk that grows by several legs has them all before the first one fails", async () => {
  const host = new HostBench();
  const units = [
    host.bench.unit({ sizeBytes: 64 * KIB }),
    host.bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 }),
    host.bench.unit({ volumeId: THIRD_VOLUME, keySeed: 10 }),
  ];
  await host.attach(diskOf(units.slice(0, 1)));
  const grown = diskOf(units, 2);
  // The first new leg fails at once, and tells so while the second one is still to be made.
  const away = grown.legs.map((leg, i) => i === 0 ? leg : { ...leg, addresses: [] });
  host.service.diskUpdate({ ...grown, legs: away }).catch(() => {});
  const status = await host.run(host.service.diskUpdate({ ...grown, version: 3 }));
  assert.equal(status.state, "ready");
  await host.end(units);
});

for (const [how, heldBytes] of [["shorter", 192 * KIB], ["longer", 320 * KIB]] as const) {
  // A larger one is about to be assigned; a smaller one is a mistake, and its I/O fails.
  const waits = heldBytes > 256 * KIB;
  Deno.test(`a disk is not attached while a unit's export of a leg is ${how} than its map says`, async () => {
    const host = new HostBench();
    const sound = host.bench.unit();
    const unit = host.bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 });
    const map = diskOf([sound, unit]);
    unit.device = new ForgetfulDevice(host.bench.io, heldBytes);
    const status = await host.attach(map);
    assert.notEqual(status.state, "ready");
    assert.equal(status.legs[0]!.state, "ready");
    assert.notEqual(status.legs[1]!.state, "ready");
    const words = `the volume has ${heldBytes} bytes, and the assignment says ${256 * KIB}`;
    assert.ok(status.legs[1]!.reason?.includes(words), status.legs[1]!.reason);
    const { consumer } = await host.opened();
    assert.equal(consumer.request(COMMAND.write, 0, { fill: 7 }), 0, "the other leg is used");
    const write = consumer.submit(COMMAND.write, 256 * KIB, { fill: 7 });
    host.bench.pass(1000);
    assert.deepEqual(unit.device.seen, []);
    assert.equal(consumer.answers, waits ? 1 : 2);
    unit.device = new ForgetfulDevice(host.bench.io, 256 * KIB);
    await host.run(host.service.diskUpdate({ ...map, version: 2 }));
    const told = () => host.notices.flatMap((n) => n.notice === "disk-changed" ? [n.status] : []);
    host.bench.until(() => told().at(-1)?.state === "ready" && consumer.answers === 2);
    assert.equal(write.error, waits ? 0 : WIRE_ERROR.io);
    assert.equal(consumer.request(COMMAND.write, 260 * KIB, { fill: 8 }), 0);
    assert.equal(unit.device.bytes[4 * KIB], 8);
    host.bench.io.buffers.release(write.off);
    consumer.connection.goodbye();
    host.bench.until(() => consumer.ended !== null);
    await host.end([sound, unit]);
  });

  Deno.test(`a leg whose unit comes back with a ${how} export is not used any more`, async () => {
    const host = new HostBench();
    const units = [host.bench.unit(), host.bench.unit({ volumeId: OTHER_VOLUME, keySeed: 9 })];
    const unit = units[1]!;
    assert.equal((await host.attach(diskOf(units))).state, "ready");
    const own = unit.device;
    unit.device = new ForgetfulDevice(host.bench.io, heldBytes);
    unit.cut();
    const { consumer } = await host.opened();
    const write = consumer.submit(COMMAND.write, 256 * KIB, { fill: 7 });
    host.bench.pass(5000);
    const [status] = await host.service.diskList();
    assert.notEqual(status!.legs[1]!.state, "ready");
    assert.deepEqual(unit.device.seen, []);
    unit.device = own;
    host.bench.until(() => consumer.answers === 1);
    assert.equal(write.error, waits ? 0 : WIRE_ERROR.io);
    host.bench.io.buffers.release(write.off);
    consumer.connection.goodbye();
    host.bench.until(() => consumer.ended !== null);
    await host.end(units);
  });
}

Deno.test("a disk is not attached, nor grown, without buffers; both work once there are some", async () => {
  const host = new HostBench();
  const { buffers } = host.bench.io;
  const unit = host.bench.unit();
  const added = [OTHER_VOLUME, THIRD_VOLUME].map((volumeId, i) => {
    return host.bench.unit({ volumeId, keySeed: 9 + i });
  });
  const isLimit = (error: unknown) => error instanceof DvsanError && error.code === "limit";
  // However far it comes: a leg has a buffer, and a disk's server has two, one of them larger.
  for (const [bytes, leaving] of [[4 * KIB, 0], [4 * KIB, 1], [64 * KIB, 0]] as const) {
    const all = takeAll(host, { bytes, leaving });
    const before = buffers.taken;
    await assert.rejects(host.attach(diskOf([unit])), isLimit, `${leaving} of ${bytes} are free`);
    assert.equal(buffers.taken, before);
    for (const off of all) buffers.release(off);
  }
  await host.attach(diskOf([unit]));
  const grown = diskOf([unit, ...added], 2);
  const rest = takeAll(host, { bytes: 4 * KIB, leaving: 1 });
  await assert.rejects(host.run(host.service.diskUpdate(grown)), isLimit);
  const [status] = await host.service.diskList();
  assert.deepEqual([status!.version, status!.legs.length], [1, 1]);
  // A change of a leg has the disk put together anew.
  unit.reboot();
  for (const off of rest) buffers.release(off);
  const { consumer } = await host.opened();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 3 }), 0);
  assert.equal((await host.run(host.service.diskUpdate(grown))).legs.length, 3);
  consumer.connection.goodbye();
  host.bench.until(() => consumer.ended !== null);
  await host.end([unit, ...added]);
});

/** Of the size class for `bytes`. */
function takeAll(host: HostBench, { bytes, leaving }: { bytes: number; leaving: number }) {
  const { buffers } = host.bench.io;
  const taken: number[] = [];
  for (let off = 0; (off = buffers.take(bytes)) >= 0;) taken.push(off);
  for (let i = 0; i < leaving; i++) buffers.release(taken.pop()!);
  return taken;
}

Deno.test("a volume that was made for a place behind others is attached as a disk of its own", async () => {
  const host = new HostBench();
  const unit = host.bench.unit();
  const part = diskOf([unit]);
  const legs = part.legs.map((leg) => ({ ...leg, leg: 3 }));
  const attach = (assignment: Assignment) =>
    host.service.diskAttach({ assignment, socketPath: SOCKET, firstAttachment: 1, marks: null });
  // Without those before it, it is no disk.
  await assert.rejects(host.run(attach({ ...part, legs })), /its legs are not in order/);
  const own = { ...part, diskId: legs[0]!.volumeId, legs };
  await host.attach(own);
  const { consumer } = await host.opened();
  assert.equal(consumer.request(COMMAND.write, 0, { fill: 3 }), 0);
  const [status] = await host.service.diskList();
  assert.deepEqual(status!.legs.map(({ leg }) => leg), [3]);
  consumer.connection.goodbye();
  host.bench.until(() => consumer.ended !== null);
  await host.end([unit]);
});

Deno.test("maps that cannot be are refused, and change nothing", async () => {
  const host = new HostBench();
  const unit = host.bench.unit();
  const good = diskOf([unit]);
  const refused = (promise: Promise<unknown>, code: string) =>
    assert.rejects(
      host.run(promise),
      (error) => error instanceof DvsanError && error.code === code,
    );
  const attach = (assignment: Assignment) =>
    host.service.diskAttach({ assignment, socketPath: SOCKET, firstAttachment: 1, marks: null });
  await refused(attach({ ...good, sizeBytes: 1 }), "invalid");
  await refused(attach({ ...good, state: "direct" }), "invalid");
  await refused(attach({ ...good, legs: [], sizeBytes: 0 }), "invalid");
  await refused(host.service.diskUpdate(good), "not-found");
  await host.attach(good);
  await refused(attach(good), "exists");
  const other = host.bench.unit({ volumeId: OTHER_VOLUME });
  await refused(host.service.diskUpdate(diskOf([other], 2)), "invalid");
  const same = await host.run(host.service.diskUpdate({ ...good, version: 1 }));
  assert.deepEqual([same.state, same.version], ["ready", 1]);
  await host.end([unit, other]);
});
