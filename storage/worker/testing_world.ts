import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { KIB, MIB, NBD_ATTACH_OUTPUT_BYTES_MAX } from "../../protocol/core/limits.ts";
import { DATA_LIMITS } from "../../protocol/core/data_limits.ts";
import { createLog, type LogLine } from "../../protocol/core/log.ts";
import type { AccessGrant, LegInfo, VolumeInfo } from "../../protocol/config/bodies.ts";
import { type KeyPair, keyPairOf, nodeIdOf } from "../../protocol/noise/handshake.ts";
import { createIo } from "../io/create.ts";
import { newCounterMemory } from "../counters/layout.ts";
import { CounterReader } from "../counters/reader.ts";
import { CounterTable } from "../counters/table.ts";
import type { LetInRecord } from "../grants/let_in_runs.ts";
import type { Io, SocketAddress } from "../io/io.ts";
import { IoPromises, runUntilSettled } from "../io/promises.ts";
import { UnitAttach } from "../nbd/client_attach.ts";
import type { AttachOutcome } from "../nbd/client_attach_types.ts";
import type { CallName, Calls, Notice, UnitStart } from "./messages.ts";
import { TestClient } from "./testing_client.ts";
import { Stall } from "./testing_stall.ts";
import { WorkerService } from "./worker_service.ts";

/** A unit's worker and its clients on one seam and one thread, on real files and sockets: tests. */

export const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
export const STATION = { epoch: 1, instance: "station" };
const CLUSTER = "c".repeat(32);

export function keys(seed: number): KeyPair & { id: string } {
  const pair = keyPairOf(new Uint8Array(32).fill(seed));
  return { ...pair, id: nodeIdOf(pair.publicKey) };
}

export const UNIT = keys(1);
export const HOST = keys(2);
export const OTHER_HOST = keys(3);

export function legOf(host: KeyPair & { id: string }): LegInfo {
  return {
    diskId: "11111111-2222-4333-8444-555555555555",
    diskName: "db",
    layout: "linear",
    leg: 0,
    legs: 1,
    ownerId: host.id,
    ownerName: "h1",
    ownerKey: new Uint8Array(host.publicKey),
  };
}

export function grantOf(
  volume: VolumeInfo,
  to: { counter: number; host?: KeyPair & { id: string }; direct?: AccessGrant["direct"] },
): AccessGrant {
  const host = to.host ?? HOST;
  return {
    station: STATION,
    volumeId: volume.id,
    expectedSequence: volume.sequence,
    generation: { epoch: 1, counter: to.counter },
    hostId: host.id,
    hostKey: new Uint8Array(host.publicKey),
    sizeBytes: volume.sizeBytes,
    ...(to.direct === undefined ? {} : { direct: to.direct }),
  };
}

export class UnitWorld {
  readonly stall: Stall;
  readonly io: Io;
  readonly promises: IoPromises;
  readonly counters: CounterReader;
  readonly path: string;
  readonly bootId: string;
  readonly #real: Io;
  readonly #service: WorkerService;
  #waiting: (() => void)[] = [];
  /** As a unit keeps it durably. */
  poisoned: Readonly<Record<string, string>> = {};
  directMarks: Readonly<Record<string, string>> = {};
  continuities: Readonly<Record<string, string>> = {};
  letIn: LetInRecord = {};
  readonly numbersKept: number[] = [];
  readonly letInAsked: number[] = [];
  readonly logged: LogLine[] = [];
  /** Why numbers of volumes cannot be kept now. */
  numbersProblem: string | null = null;
  keepsLetIn = true;
  address: SocketAddress = { address: "127.0.0.1", port: 0 };

  constructor(
    options: {
      kind: "uring" | "epoll";
      path: string;
      fenceAnswerMs?: number;
      mediumTimeoutMs?: number;
      bootId?: string;
    },
  ) {
    this.path = options.path;
    this.bootId = options.bootId ?? "boot";
    const classes = [
      { bytes: 8 * KIB, count: 256 },
      { bytes: 68 * KIB, count: 64 },
      { bytes: MIB + 4 * KIB, count: 8 },
    ];
    this.#real = createIo({ kind: options.kind, arena: { classes } });
    this.stall = new Stall(this.#real);
    this.io = this.stall.io;
    this.promises = new IoPromises(this.io);
    const memory = newCounterMemory();
    this.counters = new CounterReader(memory);
    this.#service = new WorkerService({
      io: this.io,
      promises: this.promises,
      bootId: this.bootId,
      random: { bytes: (count) => new Uint8Array(randomBytes(count)) },
      log: createLog((line) => this.logged.push(line)),
      counters: new CounterTable(memory),
      notify: (notice) => this.#noticed(notice),
      fenceAnswerMs: options.fenceAnswerMs ?? 30_000,
      ...(options.mediumTimeoutMs !== undefined && {
        limits: { ...DATA_LIMITS, mediumTimeoutMs: options.mediumTimeoutMs },
      }),
    });
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return runUntilSettled(this.io, this.promises, promise);
  }

  /** A call that runs until it is answered. */
  call<N extends CallName>(name: N, params: Calls[N]["params"]): Promise<Calls[N]["result"]> {
    return this.run(this.begin(name, params));
  }

  /** A call that is only begun. */
  begin<N extends CallName>(name: N, params: Calls[N]["params"]): Promise<Calls[N]["result"]> {
    const run = this.#service.calls[name] as (
      params: Calls[N]["params"],
    ) => Promise<Calls[N]["result"]>;
    return run(params);
  }

  async start(more: Partial<UnitStart> = {}): Promise<void> {
    await this.call("unitStart", {
      identity: { ...UNIT, name: "u1" },
      clusterId: CLUSTER,
      media: [{ path: this.path, wipe: "no" }],
      knownSequences: {},
      ...more,
    });
    this.address = await this.call("listen", { address: "127.0.0.1", port: 0 });
  }

  /** Asks for the change again until the medium is open: a loaded machine's may look stalled. */
  async reopened(change: Calls["mediumChange"]["params"]): Promise<void> {
    let state = "";
    while (state !== "ok") {
      const opened = await this.call("mediumChange", change).catch((error) => {
        assert.match(error.message, /one is stalled/);
        return null;
      });
      state = opened?.state ?? "";
    }
  }

  /** Asks for the change, which is given up: a medium is stalled. `fenceAnswerMs` is LIMIT_MS. */
  async givenUp(change: Calls["mediumChange"]["params"]): Promise<void> {
    const begun = this.stall.limitsBegun;
    const isStalled = { name: "DvsanError", message: /one is stalled. Nothing was changed/ };
    const asked = assert.rejects(this.begin("mediumChange", change), isStalled);
    // Of the sync, and of what is under way besides.
    await this.until(() => this.stall.limitsBegun === begun + 2);
    this.stall.passLimits();
    await this.run(asked);
  }

  /** A volume that is zeroed. */
  async volume(sizeBytes: number): Promise<VolumeInfo> {
    await this.call("volumeCreate", {
      station: STATION,
      volumeId: VOLUME,
      expectedSequence: 0,
      sizeBytes,
      leg: legOf(HOST),
    });
    return await this.zeroed();
  }

  /** The volume as it is, once it is zeroed. */
  async zeroed(): Promise<VolumeInfo> {
    while (true) {
      const info = await this.call("storageInfo", null);
      const volume = info.volumes.find(({ id }) => id === VOLUME);
      assert.ok(volume !== undefined);
      if (volume.state === "ready" && volume.zeroedBytes === volume.allocatedBytes) return volume;
      const { promise, resolve } = this.promises.deferred<void>();
      this.#waiting.push(resolve);
      await this.run(promise);
    }
  }

  /** Until all that is free is zeroed too: no label update is under way then. */
  async idle(): Promise<void> {
    const deadlineMs = this.io.nowMs() + 60_000;
    while (true) {
      assert.ok(this.io.nowMs() < deadlineMs, "zeroing does not end");
      const { media } = await this.call("storageInfo", null);
      const served = media.filter(({ state }) => state === "ok");
      if (served.every(({ zeroedBytes, freeBytes }) => zeroedBytes === freeBytes)) return;
      await this.turns(1);
    }
  }

  /** Resolves when the outcome is there; `run` it, or turn the loop in another way. */
  attach(
    options: { attachment: number; counter?: number; host?: KeyPair; unitKey?: Uint8Array },
  ): Promise<AttachOutcome> {
    const { promise, resolve } = this.promises.deferred<AttachOutcome>();
    const buffer = this.io.buffers.take(NBD_ATTACH_OUTPUT_BYTES_MAX);
    new UnitAttach(this.io, {
      buffer,
      to: this.address,
      volumeId: VOLUME,
      generation: { epoch: 1, counter: options.counter ?? 1 },
      attachment: options.attachment,
      host: options.host ?? HOST,
      unitKey: options.unitKey ?? UNIT.publicKey,
      ephemeral: keyPairOf(new Uint8Array(randomBytes(32))),
      timeoutMs: 30_000,
    }, (outcome) => {
      this.io.buffers.release(buffer);
      resolve(outcome);
    });
    return promise;
  }

  async attached(options: Parameters<UnitWorld["attach"]>[0]): Promise<TestClient> {
    const outcome = await this.run(this.attach(options));
    assert.ok(outcome.kind === "attached", outcome.kind === "failed" ? outcome.reason : "");
    return new TestClient(this, outcome);
  }

  async refusal(options: Parameters<UnitWorld["attach"]>[0]): Promise<string | null> {
    const outcome = await this.run(this.attach(options));
    assert.equal(outcome.kind, "failed");
    return outcome.kind === "failed" ? outcome.refusal : null;
  }

  /** Turns the loop until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise((resolve) => setImmediate(resolve));
      this.io.turn(1);
    }
  }

  /** Turns the loop while something outside of it is awaited. */
  async meanwhile<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const settle = () => settled = true;
    promise.then(settle, settle);
    await this.until(() => settled);
    return await promise;
  }

  /** Some turns in which nothing that waits may go on. */
  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      this.io.turn(1);
    }
  }

  drain(): Promise<null> {
    return this.call("drain", { timeoutMs: 30_000 });
  }

  destroy(): void {
    this.#real.destroy();
  }

  #noticed(notice: Notice): void {
    if (notice.notice === "numbers-given") {
      const { below } = notice;
      this.numbersKept.push(below);
      void this.begin("numbersKept", { below, problem: this.numbersProblem });
    }
    if (notice.notice === "let-in") {
      this.letIn = notice.runs;
      this.letInAsked.push(notice.number);
      if (this.keepsLetIn) void this.begin("letInKept", { number: notice.number });
    }
    if (notice.notice === "direct-marks") this.directMarks = notice.marks;
    if (notice.notice !== "storage-changed") return;
    this.poisoned = notice.poisoned;
    this.continuities = notice.continuities;
    for (const run of this.#waiting.splice(0)) run();
  }
}
