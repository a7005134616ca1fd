import assert from "node:assert/strict";
import type { Assignment } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { silentLog } from "../../protocol/core/log.ts";
import { ClientNegotiation } from "../../protocol/nbd/client_negotiation.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import { nodeFigures } from "../counters/figures.ts";
import { CELL, LEG_CELL, newCounterMemory, TYPE } from "../counters/layout.ts";
import { CounterReader } from "../counters/reader.ts";
import { CounterTable } from "../counters/table.ts";
import { assignmentOf, HOST, KIB, LegBench } from "../devices/testing_leg.ts";
import type { Handle } from "../io/io.ts";
import { IoPromises, runUntilSettled } from "../io/promises.ts";
import { CLIENT_BUFFER_BYTES, ClientConnection } from "../nbd/client_connection.ts";
import { ClientRequest } from "../nbd/client_request.ts";
import type { FakeUnit } from "../nbd/testing_unit.ts";
import { HostService } from "./host_service.ts";
import type { Notice } from "./messages.ts";

const OTHER_VOLUME = "1f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const DISK = "2f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const SOCKET = "/run/test/d1.sock";

function diskOf(units: readonly FakeUnit[], version = 1): Assignment {
  const legs = units.map((unit, leg) => assignmentOf(unit, { leg }));
  const sizeBytes = legs.reduce((sum, leg) => sum + leg.sizeBytes, 0);
  return {
    diskId: DISK,
    name: "d1",
    layout: "linear",
    version,
    sizeBytes,
    state: "attached",
    legs,
  };
}

/** A host's service with its bench, and consumers of its sockets. */
class HostBench {
  readonly bench = new LegBench();
  readonly notices: Notice[] = [];
  readonly promises = new IoPromises(this.bench.io);
  readonly #memory = newCounterMemory();
  readonly counters = new CounterReader(this.#memory);
  readonly service = new HostService({
    io: this.bench.io,
    promises: this.promises,
    random: this.bench.random,
    log: silentLog(),
    counters: new CounterTable(this.#memory),
    notify: (notice) => this.notices.push(notice),
    identity: { id: "00".repeat(16), name: "h1", ...HOST },
    ioTimeoutMs: 60_000,
  });

  run<T>(promise: Promise<T>): Promise<T> {
    return runUntilSettled(this.bench.io, this.promises, promise);
  }

  attach(assignment: Assignment) {
    return this.run(
      this.service.diskAttach({ assignment, socketPath: SOCKET, firstAttachment: 1 << 20 }),
    );
  }

  /** Opens an export of the disk's socket; the size it tells. */
  async open(name: string): Promise<{ consumer: Consumer; sizeBytes: number } | string> {
    const { io } = this.bench;
    const handle = await this.run(this.promises.connectUnix(SOCKET));
    assert.ok(handle >= 0, `errno ${-handle}`);
    const negotiation = new ClientNegotiation();
    const off = io.buffers.take(CLIENT_BUFFER_BYTES);
    for (;;) {
      const event = negotiation.event;
      if (event?.kind === "greeted") negotiation.go(name);
      if (event?.kind === "answered") {
        io.close(handle);
        io.buffers.release(off);
        return event.error?.text ?? "";
      }
      if (event?.kind === "ready") {
        return { consumer: new Consumer(this, handle, off), sizeBytes: event.info.sizeBytes };
      }
      for (const part of negotiation.takeOutput()) {
        io.bytes.set(part, off);
        await this.run(this.promises.send(handle, { off, length: part.length }));
      }
      const received = await this.run(this.promises.receive(handle));
      assert.ok(received.result > 0, "the disk's socket answers");
      negotiation.consume(io.bytes, received.off, received.off + received.result);
      io.buffers.release(received.off);
    }
  }

  async opened(name = ""): Promise<{ consumer: Consumer; sizeBytes: number }> {
    const opened = await this.open(name);
    assert.ok(typeof opened !== "string", String(opened));
    return opened;
  }

  async end(units: readonly FakeUnit[]): Promise<void> {
    await this.run(this.service.drain(5000));
    this.bench.end([], units);
  }
}

/** A program that uses a disk's socket. */
class Consumer {
  readonly connection: ClientConnection;
  ended: string | null = null;
  readonly #host: HostBench;
  #answers = 0;

  constructor(host: HostBench, handle: Handle, buffer: number) {
    this.#host = host;
    const { io } = host.bench;
    this.connection = new ClientConnection(io, {
      handle,
      buffer,
      replyTimeoutMs: 600_000,
      owner: {
        answered: () => this.#answers++,
        ended: (reason) => {
          this.ended = reason;
          io.buffers.release(buffer);
        },
      },
    });
  }

  /** The first byte of what was read, 0 for a success otherwise, or a negated error. */
  request(command: number, position: number, o: { length?: number; fill?: number } = {}): number {
    const { io } = this.#host.bench;
    const request = new ClientRequest();
    request.command = command;
    request.position = position;
    request.length = command === COMMAND.flush ? 0 : o.length ?? 4 * KIB;
    request.off = io.buffers.take(Math.max(1, request.length));
    io.bytes.fill(o.fill ?? 0, request.off, request.off + request.length);
    const before = this.#answers;
    this.connection.submit(request);
    this.#host.bench.until(() => this.#answers > before, "an answer");
    const first = command === COMMAND.read ? io.bytes[request.off]! : 0;
    io.buffers.release(request.off);
    return request.error === 0 ? first : -request.error;
  }
}

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
    host.bench.unit({ volumeId: "3f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9", keySeed: 10 }),
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
    host.service.diskAttach({ assignment, socketPath: SOCKET, firstAttachment: 1 });
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
