import nodeAssert from "node:assert/strict";
import type { LegAssignment } from "../../protocol/config/bodies.ts";
import { REPLAY_MEMORY_BYTES } from "../../protocol/core/limits.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import type { Io } from "../io/io.ts";
import { type Asker, Operation } from "../io/operation.ts";
import { SimIo } from "../io/sim.ts";
import { SimWorld } from "../io/sim_world.ts";
import { FakeUnit } from "../nbd/testing_unit.ts";
import type { TlsDoor } from "../tls/door.ts";
import type { Device } from "./device.ts";
import { type LegOptions, RemoteLeg } from "./leg.ts";
import { LogBudget } from "./leg_log_budget.ts";
import { ReplayBuffers } from "./leg_replay_buffers.ts";

export const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
export const KIB = 1024;
export const HOST = keyPairOf(new Uint8Array(32).fill(11));
const TURNS_MAX = 200_000;

/** Bytes that differ from call to call, and are the same in every run. */
export function countingRandom(): Random {
  let count = 0;
  return {
    bytes: (length) => {
      count++;
      return Uint8Array.from({ length }, (_, i) => (count * 31 + i * 7) & 0xff);
    },
  };
}

/** One Io in virtual time, and what the tests of legs do with it. */
export class LegBench {
  readonly world = new SimWorld();
  readonly io: SimIo;
  readonly random = countingRandom();
  readonly lines: LogLine[] = [];
  readonly replayBuffers: ReplayBuffers;
  readonly logBudget = new LogBudget(REPLAY_MEMORY_BYTES);
  readonly taken: number;

  /** With `large`, there are buffers for payloads of up to 1 MiB. */
  constructor(o: { large?: boolean } = {}) {
    const classes = [{ bytes: 8 * KIB, count: 256 }, { bytes: 68 * KIB, count: 48 }];
    if (o.large === true) classes.push({ bytes: 1024 * KIB, count: 16 });
    this.io = new SimIo({ world: this.world, arena: { classes, receiveBuffers: 16 } });
    this.taken = this.io.buffers.taken;
    this.replayBuffers = new ReplayBuffers(this.io);
  }

  unit(
    o: { sizeBytes?: number; keySeed?: number; volumeId?: string; door?: TlsDoor } = {},
  ): FakeUnit {
    const { sizeBytes = 256 * KIB, volumeId = VOLUME, ...rest } = o;
    return new FakeUnit(this.io, { hostKey: HOST.publicKey, volumeId, sizeBytes, ...rest });
  }

  leg(unit: FakeUnit, o: Partial<LegOptions> & { addresses?: string[] } = {}): RemoteLeg {
    const { addresses = [unit.address], ...rest } = o;
    const leg = new RemoteLeg({
      io: this.io,
      random: this.random,
      host: HOST,
      attachments: { first: 1000, end: 2000 },
      replayBuffers: this.replayBuffers,
      logBudget: this.logBudget,
      assignment: assignmentOf(unit, { addresses }),
      log: createLog((line) => this.lines.push(line)),
      ioTimeoutMs: 60_000,
      logBytes: 1024 * KIB,
      before: null,
      askers: new Set(),
      marked: () => {},
      changed: () => {},
      ...rest,
    });
    leg.start();
    return leg;
  }

  until(condition: () => boolean, what = "the condition"): void {
    for (let turns = 0; !condition(); turns++) {
      nodeAssert.ok(turns < TURNS_MAX, `${what} did not come true`);
      this.io.turn(1000);
    }
  }

  /** Lets virtual time pass. */
  pass(durationMs: number): void {
    const endMs = this.world.nowMs + durationMs;
    this.until(() => this.world.nowMs >= endMs || this.#passed(endMs), "time");
  }

  #passed(endMs: number): boolean {
    this.io.turn(Math.max(1, Math.min(10, endMs - this.world.nowMs)));
    return this.world.nowMs >= endMs;
  }

  ready(leg: RemoteLeg): RemoteLeg {
    this.until(() => leg.isReady, "attaching");
    return leg;
  }

  log(part: string): LogLine[] {
    return this.lines.filter((line) => line.message.includes(part));
  }

  /** Detaches everything; nothing of it may be left in the arena. */
  end(legs: readonly RemoteLeg[], units: readonly FakeUnit[]): void {
    let left = legs.length + units.length;
    for (const leg of legs) leg.close(() => left--);
    for (const unit of units) unit.stop(() => left--);
    this.until(() => left === 0, "the end");
    for (const unit of units) unit.close();
    this.replayBuffers.close();
    this.io.turn(0);
    nodeAssert.equal(this.io.buffers.taken, this.taken, "buffers are left");
    this.io.destroy();
  }
}

export function assignmentOf(
  unit: FakeUnit,
  o: { addresses?: string[]; leg?: number; counter?: number; unitKey?: Uint8Array } = {},
): LegAssignment {
  const { sizeBytes } = unit.device.traits;
  return {
    leg: o.leg ?? 0,
    unitId: "00".repeat(16),
    unitName: "u1",
    unitKey: o.unitKey ?? unit.key.publicKey,
    addresses: o.addresses ?? [unit.address],
    volumeId: unit.volumeId,
    volumeNumber: 1,
    sizeBytes,
    startLba: 0,
    endLba: sizeBytes / 512 - 1,
    generation: { epoch: 1, counter: o.counter ?? 1 },
  };
}

/** A request of a test: its buffer lives as long as it does. */
export class TestRequest {
  result: number | null = null;
  readonly operation: Operation;
  readonly #io: Io;
  readonly off: number;
  readonly length: number;

  constructor(io: Io, length: number) {
    this.#io = io;
    this.length = length;
    this.off = length > 0 ? io.buffers.take(length) : -1;
    nodeAssert.ok(length === 0 || this.off >= 0, "the test has buffers");
    this.operation = new Operation((operation) => {
      nodeAssert.equal(this.result, null, "a request ends once");
      this.result = operation.result;
    });
  }

  get bytes(): Uint8Array {
    return this.#io.bytes.subarray(this.off, this.off + this.length);
  }

  get isDone(): boolean {
    return this.result !== null;
  }

  release(): void {
    nodeAssert.ok(this.isDone);
    if (this.off >= 0) this.#io.buffers.release(this.off);
  }
}

/** Requests on a device, each in one line. */
export class DeviceBench {
  readonly #bench: LegBench;
  readonly #device: Device;

  constructor(bench: LegBench, device: Device) {
    this.#bench = bench;
    this.#device = device;
  }

  write(position: number, o: { length?: number; fill: number; fua?: boolean }): TestRequest {
    const request = new TestRequest(this.#bench.io, o.length ?? 4 * KIB);
    request.bytes.fill(o.fill);
    const { off, length } = request;
    this.#device.write(request.operation, { off, length, position }, o.fua ?? false);
    return request;
  }

  read(position: number, length = 4 * KIB): TestRequest {
    const request = new TestRequest(this.#bench.io, length);
    this.#device.read(request.operation, { off: request.off, length, position });
    return request;
  }

  flush(asker: Asker | null = null): TestRequest {
    const request = new TestRequest(this.#bench.io, 0);
    request.operation.asker = asker;
    this.#device.flush(request.operation);
    return request;
  }

  zero(position: number, length: number, o: { fua?: boolean } = {}): TestRequest {
    const request = new TestRequest(this.#bench.io, 0);
    this.#device.zero(
      request.operation,
      { position, length, mayDiscard: true, fast: false },
      o.fua ?? false,
    );
    return request;
  }

  discard(
    position: number,
    length: number,
    o: { fua?: boolean; asker?: Asker } = {},
  ): TestRequest {
    const request = new TestRequest(this.#bench.io, 0);
    request.operation.asker = o.asker ?? null;
    this.#device.discard(request.operation, { position, length }, o.fua ?? false);
    return request;
  }

  /** Waits for requests and gives their buffers back; their results, in order. */
  results(...requests: TestRequest[]): number[] {
    this.#bench.until(() => requests.every((request) => request.isDone), "the requests");
    return requests.map((request) => {
      request.release();
      return request.result!;
    });
  }

  /** The byte that a range is filled with, or a failure when it is not of one kind. */
  fillOf(position: number, length = 4 * KIB): number {
    const request = this.read(position, length);
    this.#bench.until(() => request.isDone, "a read");
    nodeAssert.equal(request.result, length);
    const first = request.bytes[0]!;
    nodeAssert.ok(request.bytes.every((byte) => byte === first), "the range is of one kind");
    request.release();
    return first;
  }
}
