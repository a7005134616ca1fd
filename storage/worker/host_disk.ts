import type { Assignment } from "../../protocol/config/bodies.ts";
import { ATTACHMENTS_PER_RUN, DISK_REQUESTS_MAX } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { KeyPair } from "../../protocol/noise/handshake.ts";
import type { CounterRow } from "../counters/row.ts";
import type { CounterTable } from "../counters/table.ts";
import { RemoteLeg } from "../devices/leg.ts";
import type { ReplayBuffers } from "../devices/leg_replay_buffers.ts";
import type { AttachmentRun } from "../devices/leg_link.ts";
import type { LegMarks } from "../devices/leg_memory.ts";
import type { LogBudget } from "../devices/leg_log_budget.ts";
import { LinearDevice } from "../devices/linear.ts";
import { BufferUser, type Io, type TurnTask } from "../io/io.ts";
import type { IoPromises } from "../io/promises.ts";
import { NbdServer } from "../nbd/server.ts";
import type { TlsDoor } from "../tls/door.ts";
import { type DataLimits } from "../../protocol/core/data_limits.ts";
import { diskServerLimitsOf } from "./data_limits.ts";
import { checkAssignment, checkSuccessor } from "./host_disk_maps.ts";
import { DiskGate } from "./host_gate.ts";
import type { DiskAttach, DiskStatus } from "./messages.ts";
import { lastFlush } from "./last_flush.ts";
import { limited } from "./time_limit.ts";

export interface HostDiskOptions {
  readonly io: Io;
  readonly promises: IoPromises;
  readonly random: Random;
  readonly log: Log;
  readonly counters: CounterTable;
  readonly host: KeyPair;
  readonly ioTimeoutMs: number;
  readonly replayBuffers: ReplayBuffers;
  readonly logBudget: LogBudget;
  /** Secures connections to units, as it demands. */
  readonly door?: TlsDoor | undefined;
  /** Called in a turn when the status has truly changed. */
  readonly changed: (status: DiskStatus) => void;
  readonly limits: DataLimits;
  /** The servers of all disks. */
  readonly neighbours: Set<NbdServer>;
  /** All attachment numbers are used, or a unit has let in a higher one: `renumber` is due. */
  readonly outrun: (attachment: number) => void;
  /** A leg's. */
  readonly marked: LegMarks["marked"];
}

/**
 * One disk of this host: its legs, the device made of them, and the Unix socket that serves it.
 * It has an NBD server of its own, so that requests of a disk that waits for its unit never use up
 * those of other disks.
 */
export class HostDisk {
  readonly #options: HostDiskOptions;
  readonly #attach: DiskAttach;
  readonly #legs: RemoteLeg[] = [];
  readonly #legCounters: CounterRow[] = [];
  readonly #server: NbdServer;
  readonly #gate: DiskGate;
  readonly #counters: CounterRow;
  #assignment: Assignment;
  #device: LinearDevice;
  /** False while it may still turn out that it cannot be. */
  #isMade = false;
  #toldKey = "";
  #wasReady = false;
  #settled: (() => void)[] = [];
  #firstAttachment: number;
  readonly #statusTask: TurnTask = { queued: false, run: () => this.#tellStatus() };

  /** Makes the socket and begins to attach. Throws DvsanError when it cannot. */
  constructor(options: HostDiskOptions, attach: DiskAttach) {
    const { io, log } = options;
    this.#options = options;
    this.#attach = attach;
    this.#firstAttachment = attach.firstAttachment;
    this.#assignment = attach.assignment;
    checkAssignment(attach.assignment);
    const { diskId, name } = attach.assignment;
    const table = options.counters;
    this.#counters = table.add({ kind: "disk", name: `${diskId} ${name}`, nowMs: io.nowMs() });
    this.#gate = new DiskGate(name, { device: () => this.#device, counters: this.#counters });
    try {
      this.#legs.push(...this.#makeLegs(attach.assignment.legs));
      this.#device = this.#combine();
      this.#server = new NbdServer({
        io,
        log,
        counters: { table, row: this.#counters },
        bufferUser: new BufferUser(),
        neighbours: options.neighbours,
        limits: { ...diskServerLimitsOf(options.limits), requestsMax: DISK_REQUESTS_MAX },
      });
      this.#listen();
    } catch (error) {
      for (const leg of this.#legs) leg.close(() => {});
      this.#removeCounters();
      throw error;
    }
    this.#isMade = true;
    this.#gate.changed = () => this.#changed();
    for (const leg of this.#legs) leg.start();
  }

  get assignment(): Assignment {
    return this.#assignment;
  }

  /** The disk as one device, of its present size. */
  get device(): LinearDevice {
    return this.#device;
  }

  status(): DiskStatus {
    const legs = this.#legs.map((leg) => leg.status());
    const { diskId, name, version, sizeBytes } = this.#assignment;
    return {
      diskId,
      name,
      version,
      sizeBytes,
      socketPath: this.#attach.socketPath,
      state: this.#state(),
      legs,
      connections: this.#server.counters.connections,
    };
  }

  /** Resolves when every leg is attached or one is refused, and at the latest after `limitMs`. */
  async settle(limitMs: number): Promise<void> {
    if (this.#isSettled) return;
    const { promise, resolve } = this.#options.promises.deferred<void>();
    this.#settled.push(() => resolve());
    await limited(this.#options, { done: promise, limitMs });
  }

  /**
   * A newer map. Throws DvsanError, and changes nothing, when it is not one of this disk, or no
   * buffers are free for more legs.
   */
  update(assignment: Assignment): void {
    const old = this.#assignment;
    if (assignment.version <= old.version) return;
    checkAssignment(assignment);
    checkSuccessor(old, assignment);
    const before = this.#legs.length;
    // All are there before one is touched: a leg may tell of a change, and so ask for the whole
    // device, within the call.
    this.#legs.push(...this.#makeLegs(assignment.legs.slice(before)));
    this.#assignment = assignment;
    this.#legs.forEach((leg, i) => i < before ? leg.update(assignment.legs[i]!) : leg.start());
    this.#device = this.#combine();
    this.#changed();
  }

  addressesGone(addresses: readonly string[]): void {
    for (const leg of this.#legs) leg.addressesGone(addresses);
  }

  /** Attachment numbers for all tries that follow, reserved durably as the first ones were. */
  renumber(firstAttachment: number): void {
    this.#firstAttachment = firstAttachment;
    for (const leg of this.#legs) leg.renumber(this.#attachments);
  }

  /**
   * Answers what is under way and flushes, as far as the units are there and `limitMs` allows;
   * then ends all connections, to consumers and to units. True when nothing is left to be lost.
   */
  async close(limitMs: number): Promise<boolean> {
    const { io, promises, log } = this.#options;
    const { name } = this.#assignment;
    const beganMs = io.nowMs();
    const leftMs = () => Math.max(1, limitMs - (io.nowMs() - beganMs));
    this.#server.closeListeners();
    if (this.#legs.every((leg) => leg.isReady)) {
      const drained = promises.deferred<void>();
      this.#server.drain(() => drained.resolve());
      await limited(this.#options, { done: drained.promise, limitMs: leftMs() });
      await lastFlush(this.#device, { ...this.#options, limitMs: leftMs(), disk: name });
    }
    const unflushed = this.#legs.filter((leg) => leg.isReady === false && leg.holdsUnflushed);
    if (unflushed.length > 0) {
      log.error("A disk was detached while its unit was away; what was not flushed may be lost", {
        disk: name,
        legs: unflushed.map((leg) => leg.status().leg).join(", "),
      });
    }
    const over = this.#legs.map((leg) => {
      const closed = promises.deferred<boolean>();
      leg.close(closed.resolve);
      return closed.promise;
    });
    const shut = promises.deferred<void>();
    this.#server.shutAll("the disk was detached", () => shut.resolve());
    const [areClean] = await Promise.all([Promise.all(over), shut.promise]);
    this.#server.close();
    this.#removeCounters();
    return areClean.every((isClean) => isClean);
  }

  #removeCounters(): void {
    for (const row of [...this.#legCounters, this.#counters]) this.#options.counters.remove(row);
  }

  #listen(): void {
    try {
      this.#server.listenUnix(this.#attach.socketPath, this.#gate);
    } catch (error) {
      this.#server.close();
      throw error;
    }
  }

  /** All of them or none. */
  #makeLegs(assignments: Assignment["legs"]): RemoteLeg[] {
    const legs: RemoteLeg[] = [];
    try {
      for (const assignment of assignments) legs.push(this.#makeLeg(assignment));
    } catch (error) {
      for (const leg of legs) leg.close(() => {});
      throw error;
    }
    return legs;
  }

  #makeLeg(assignment: Assignment["legs"][number]): RemoteLeg {
    const { io, counters: table } = this.#options;
    const { marks } = this.#attach;
    const name = `${this.#assignment.diskId} ${assignment.leg} ${assignment.unitName}`;
    const counters = table.add({ kind: "leg", name, nowMs: io.nowMs() });
    this.#legCounters.push(counters);
    return new RemoteLeg({
      ...this.#options,
      attachTimeoutMs: this.#options.limits.attachTimeoutMs,
      replyTimeoutMs: this.#options.limits.replyTimeoutMs,
      counters,
      log: this.#options.log.with({ disk: this.#assignment.name }),
      assignment,
      attachments: this.#attachments,
      askers: this.#gate.askers,
      // Nobody has written to a leg that is added later.
      before: this.#isMade || marks === null ? null : marks[assignment.volumeId] ?? "",
      changed: () => this.#changed(),
    });
  }

  get #attachments(): AttachmentRun {
    const first = this.#firstAttachment;
    return { first, end: first + ATTACHMENTS_PER_RUN };
  }

  #combine(): LinearDevice {
    const legs = this.#assignment.legs.map(({ sizeBytes }, i) => {
      return { device: this.#legs[i]!, sizeBytes };
    });
    return new LinearDevice(legs, this.#legs);
  }

  #state(): DiskStatus["state"] {
    if (this.#legs.some((leg) => leg.status().state === "refused")) return "failed";
    if (this.#legs.every((leg) => leg.isReady)) return "ready";
    return this.#wasReady || this.#legs.some((leg) => leg.status().state === "away")
      ? "waiting"
      : "attaching";
  }

  get #isSettled(): boolean {
    return ["ready", "failed"].includes(this.#state());
  }

  #changed(): void {
    if (!this.#isMade) return;
    // A leg has learned what blocks its unit's medium has: that holds for who opens the disk now.
    const now = this.#combine();
    if (offeredBlockBytesOf(now) !== offeredBlockBytesOf(this.#device)) this.#device = now;
    this.#options.io.atTurnEnd(this.#statusTask);
  }

  #tellStatus(): void {
    const status = this.status();
    if (status.state === "ready") this.#wasReady = true;
    if (this.#isSettled) {
      const settled = this.#settled;
      this.#settled = [];
      for (const run of settled) run();
    }
    // Tries that come and go without an outcome are not worth a notice.
    const legs = status.legs.map((leg) => `${leg.state} ${leg.reason ?? ""}`);
    const key = [status.state, status.version, status.connections, ...legs].join("\n");
    if (key === this.#toldKey) return;
    this.#toldKey = key;
    this.#options.changed(status);
  }
}

function offeredBlockBytesOf({ traits }: LinearDevice): number {
  return traits.offeredBlockBytes ?? traits.minimumBlockBytes;
}
