import nodeAssert from "node:assert/strict";
import type { LegAssignment } from "../../protocol/config/bodies.ts";
import { REPLAY_MEMORY_BYTES } from "../../protocol/core/limits.ts";
import { createLog, type LogLine, silentLog } from "../../protocol/core/log.ts";
import { keyPairOf } from "../../protocol/noise/handshake.ts";
import type { TlsPolicy } from "../../protocol/nbd/server_options.ts";
import { createIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import { TlsHandOver } from "../tls/door.ts";
import { TlsService } from "../tls/service.ts";
import { credentialsOf, UNIT_ID } from "../tls/testing.ts";
import { RemoteLeg } from "./leg.ts";
import { LogBudget } from "./leg_log_budget.ts";
import { ReplayBuffers } from "./leg_replay_buffers.ts";
import { countingRandom, HOST, KIB, VOLUME } from "./testing_leg.ts";

export const UNIT_KEY = keyPairOf(new Uint8Array(32).fill(77));
/** Long, since it is real time: a busy machine may let a test stand still for a minute. */
const WAIT_MS_MAX = 180_000;

/**
 * A host's leg on a real Io with TLS on the same thread, whose event loop gets a turn after each of
 * the Io's. For tests of what a unit, or somebody between, says on a real socket.
 */
export class TlsLegBench {
  readonly io: Io;
  readonly lines: LogLine[] = [];
  readonly service: TlsService;
  readonly taken: number;
  readonly #policy: TlsPolicy;
  readonly #replayBuffers: ReplayBuffers;

  constructor(kind: "uring" | "epoll", policy: TlsPolicy = "require") {
    const classes = [{ bytes: 8 * KIB, count: 256 }, { bytes: 68 * KIB, count: 48 }];
    this.io = createIo({ kind, arena: { classes, receiveBuffers: 16 } });
    this.taken = this.io.buffers.taken;
    this.#policy = policy;
    this.#replayBuffers = new ReplayBuffers(this.io);
    this.service = new TlsService({ log: silentLog() });
    this.service.use(credentialsOf("host"));
  }

  /** TLS as this side of a connection has it. */
  door(service: TlsService): TlsHandOver {
    return new TlsHandOver(this.#policy, {
      io: this.io,
      post: (order) => "job" in order ? service.take(order.job) : service.ended(order.ended),
    });
  }

  leg(address: string, o: { sizeBytes?: number; timeoutMs?: number } = {}): RemoteLeg {
    const { sizeBytes = 256 * KIB, timeoutMs = 2000 } = o;
    const assignment: LegAssignment = {
      leg: 0,
      unitId: UNIT_ID,
      unitName: "u1",
      unitKey: UNIT_KEY.publicKey,
      addresses: [address],
      volumeId: VOLUME,
      volumeNumber: 1,
      sizeBytes,
      startLba: 0,
      endLba: sizeBytes / 512 - 1,
      generation: { epoch: 1, counter: 1 },
    };
    const leg = new RemoteLeg({
      io: this.io,
      random: countingRandom(),
      host: HOST,
      attachments: { first: 1000, end: 2000 },
      replayBuffers: this.#replayBuffers,
      logBudget: new LogBudget(REPLAY_MEMORY_BYTES),
      assignment,
      log: createLog((line) => this.lines.push(line)),
      door: this.door(this.service),
      attachTimeoutMs: timeoutMs,
      replyTimeoutMs: timeoutMs,
      ioTimeoutMs: 10 * timeoutMs,
      logBytes: 1024 * KIB,
      before: null,
      askers: new Set(),
      marked: () => {},
      changed: () => {},
    });
    leg.start();
    return leg;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    const beganMs = this.io.nowMs();
    while (!condition()) {
      nodeAssert.ok(this.io.nowMs() - beganMs < WAIT_MS_MAX, `${what} did not come true`);
      this.io.turn(1);
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
    }
  }

  /** Detaches it; nothing of it may be left. */
  async end(leg: RemoteLeg, ...others: readonly ((done: () => void) => void)[]): Promise<void> {
    let left = 1 + others.length;
    const done = () => void left--;
    leg.close(done);
    for (const other of others) other(done);
    await this.until(() => left === 0, "the end");
    let over = false;
    void this.service.stop().then(() => over = true);
    await this.until(() => over, "the end of TLS");
    this.#replayBuffers.close();
    await this.until(() => this.io.buffers.taken === this.taken, "all buffers to be given back");
    this.io.destroy();
  }
}
