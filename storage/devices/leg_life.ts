import { compareGenerations, type LegAssignment } from "../../protocol/config/bodies.ts";
import { assert, defined, unreachable } from "../../protocol/core/assert.ts";
import { CLIENT_REPLY_TIMEOUT_MS } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { AttachAnswer } from "../../protocol/nbd/attach.ts";
import { WIRE_ERROR } from "../../protocol/nbd/constants.ts";
import { LEG_CELL } from "../counters/layout.ts";
import { CounterRow } from "../counters/row.ts";
import type { ClientConnection } from "../nbd/client_connection.ts";
import type { ClientRequest } from "../nbd/client_request.ts";
import type { LegStatus } from "../worker/messages.ts";
import { type AttachmentRun, LegLink, type LinkOptions } from "./leg_link.ts";
import { type LegLogOptions, ReplayLog } from "./leg_log.ts";
import { type LegMarks, UnitMemory } from "./leg_memory.ts";
import { LegQueue } from "./leg_queue.ts";
import { LegRecovery } from "./leg_recovery.ts";
import type { LegRequest } from "./leg_request.ts";
import { isComing, type LegEvent, type LegPhase, nextPhase, statusOf } from "./leg_state.ts";
import { LegTimer } from "./leg_timer.ts";

export interface LegOptions extends LinkOptions, LegLogOptions, LegMarks {
  readonly assignment: LegAssignment;
  readonly log: Log;
  /** Where it counts; nowhere when not given. */
  readonly counters?: CounterRow;
  /** A leg that was away for so long fails its requests with EIO until it is back. */
  readonly ioTimeoutMs: number;
  /** Called in a turn after `status` changed. */
  readonly changed: () => void;
}

/**
 * A leg's phase, and what is done on entering one. LegQueue holds the requests, LegLink gets
 * connections, LegRecovery does what comes first on each of them.
 */
export class LegLife {
  readonly #options: LegOptions;
  readonly #counters: CounterRow;
  readonly queue: LegQueue;
  readonly #link: LegLink;
  readonly #recovery: LegRecovery;
  readonly #memory: UnitMemory;
  readonly #expiry: LegTimer;
  #assignment: LegAssignment;
  #phase: LegPhase = "away";
  #connection: ClientConnection | null = null;
  #reason: string | null = null;
  #sinceMs: number;
  #expired = false;
  #wasReady = false;
  #closed: ((isClean: boolean) => void) | null = null;

  constructor(options: LegOptions) {
    this.#options = options;
    this.#assignment = options.assignment;
    const { io, replayBuffers: buffers, assignment: { unitId, volumeId } } = options;
    this.#sinceMs = io.nowMs();
    this.#counters = options.counters ?? CounterRow.unread();
    const log = ReplayLog.forLeg(io, options);
    this.queue = new LegQueue(io, { log, counters: this.#counters });
    this.#recovery = new LegRecovery({ io, buffers, unitId }, this.queue, {
      recovered: () => this.#onRecovered(),
      failed: (reason) => this.#connection?.drop(reason),
    });
    this.#memory = new UnitMemory(options, { io, volumeId, queue: this.queue });
    this.#expiry = new LegTimer(io, () => this.#expire());
    this.#link = new LegLink(options, {
      attached: (connection, answer) => this.#onAttached(connection, answer),
      failed: (reason, final) => this.#onLost(reason, final ? "refused" : "lost"),
      overtaken: () =>
        this.#memory.overtaken() && this.#forget("Another copy of this host has used the disk"),
      retry: () => this.#event("retry"),
      answered: (request) => this.#onAnswered(request),
      ended: (reason) => this.#onLost(reason, "lost"),
    });
  }

  /** Begins to attach; called once. */
  start(): void {
    this.#event("retry");
  }

  get isReady(): boolean {
    return this.#phase === "ready";
  }

  /** Requests are not to wait: nobody knows when they could run, if ever. */
  get failsAtOnce(): boolean {
    if (this.#expired) return true;
    return this.#phase === "refused" || this.#phase === "closing" || this.#phase === "closed";
  }

  status(): LegStatus {
    return {
      leg: this.#assignment.leg,
      unitName: this.#assignment.unitName,
      state: statusOf(this.#phase, this.#wasReady),
      sinceMs: Math.max(0, Math.round(this.#options.io.nowMs() - this.#sinceMs)),
      ...(this.#reason === null ? {} : { reason: this.#reason }),
    };
  }

  /** A newer assignment of the same volume: other addresses, a larger size, a newer generation. */
  update(assignment: LegAssignment): void {
    const old = this.#assignment;
    assert(assignment.volumeId === old.volumeId, "a leg keeps its volume");
    assert(assignment.sizeBytes >= old.sizeBytes, "a leg never shrinks");
    const regranted = compareGenerations(assignment.generation, old.generation) !== 0;
    const remapped = regranted || assignment.sizeBytes > old.sizeBytes;
    this.#assignment = assignment;
    if (regranted && !this.queue.log.isEmpty) {
      this.#forget("A new grant came before everything was flushed");
    }
    this.#link.forgetFailures();
    if (this.#link.isOutdated(assignment)) this.#drop("the unit has other addresses now");
    // A connection has the size of its beginning; and an old grant's answers may be lost by now.
    if (regranted || (remapped && isComing(this.#phase))) this.#drop("it was assigned anew");
    if (remapped) this.#event("remapped");
    this.#event("retry");
  }

  renumber(attachments: AttachmentRun): void {
    this.#link.renumber(attachments);
  }

  addressesGone(addresses: readonly string[]): void {
    if (this.#link.isFrom(addresses)) this.#drop("this host's address is gone");
  }

  /** Nothing comes from there or to here any more, not even an end: waiting would take long. */
  #drop(reason: string): void {
    if (this.#connection === null) this.#link.abort(reason);
    else this.#connection.drop(reason);
  }

  /** Detaches: says goodbye, fails what still waits, and then calls `closed`. Not flushed here. */
  close(closed: (isClean: boolean) => void): void {
    assert(this.#closed === null, "a leg is closed once");
    this.#closed = closed;
    this.#event("close");
  }

  #onAttached(connection: ClientConnection, answer: AttachAnswer): void {
    this.#connection = connection;
    if (this.#phase !== "connecting") return connection.drop("detached");
    if (this.#memory.attached(answer, this.#assignment.generation)) {
      this.#log().error("What this host wrote before its restart may be lost; flushes fail once");
    }
    this.#event("attached");
  }

  #onAnswered(request: ClientRequest): void {
    const own = request as LegRequest;
    if (own.purpose === "replay") return this.#recovery.answered(own);
    const hadFailed = this.queue.flushFailed;
    this.queue.answered(own);
    if (!hadFailed && this.queue.flushFailed) {
      this.#log().error(
        "A flush failed; flushes of this leg fail until it was attached anew and replayed",
        { errno: own.error },
      );
    }
    if (this.#recovery.isUnderWay) this.#recovery.advance();
    if (this.#phase === "switching" && this.queue.flying.count === 0) this.#event("drained");
  }

  #onRecovered(): void {
    this.#memory.recovered();
    this.#event("recovered");
  }

  #onLost(reason: string, event: LegEvent): void {
    this.#connection = null;
    this.#recovery.stop();
    this.queue.disconnect((request) => this.#recovery.lost(request));
    if (this.#phase !== "leaving" && this.#phase !== "closing") {
      if (this.#phase !== "connecting") this.#log().warn("Lost the unit", { reason });
      this.#reason = reason;
    }
    // A unit that lets us in and never answers must not hold a request for ever.
    const reply = this.#options.replyTimeoutMs ?? CLIENT_REPLY_TIMEOUT_MS;
    const beforeMs = this.#options.io.nowMs() - this.#options.ioTimeoutMs - reply;
    this.queue.fail({ errno: WIRE_ERROR.io, beforeMs: this.#expired ? Infinity : beforeMs });
    this.#event(event);
  }

  #expire(): void {
    this.#expired = true;
    this.#log().error("The unit was away for too long: I/O fails with EIO until it is back", {
      ioTimeoutMs: this.#options.ioTimeoutMs,
      failed: this.queue.fail({ errno: WIRE_ERROR.io, beforeMs: Infinity }),
      reason: this.#reason ?? "no answer yet",
    });
    this.#options.changed();
  }

  /**
   * An owner between two generations, or a copy of this host, may have written meanwhile: nothing
   * of ours is written over it, by a replay under way neither, and what was not flushed is lost.
   */
  #forget(why: string): void {
    const { begin, end } = this.queue.log;
    this.#recovery.stop();
    this.#log().error(`${why}; flushes fail once`, { changes: end - begin });
    this.queue.forget();
  }

  #event(event: LegEvent): void {
    const before = this.#phase;
    this.#phase = nextPhase(before, event);
    if (this.#phase === before) return;
    this.#counters.set(LEG_CELL.ready, this.#phase === "ready" ? 1 : 0);
    this.#sinceMs = this.#options.io.nowMs();
    this.#enter(before);
    this.#options.changed();
  }

  #enter(before: LegPhase): void {
    switch (this.#phase) {
      case "connecting":
        this.#startExpiry();
        return this.#link.connect(this.#assignment);
      case "recovering":
        return this.#recover();
      case "ready":
        return this.#enterReady();
      case "switching":
        this.queue.hold();
        this.#startExpiry();
        if (this.queue.flying.count === 0) this.#event("drained");
        return;
      case "leaving":
        return defined(this.#connection, "one is being left").goodbye();
      case "away":
        this.#startExpiry();
        return this.#link.retryLater();
      case "refused":
        this.#expiry.unset();
        this.queue.fail({ errno: WIRE_ERROR.io, beforeMs: Infinity });
        this.#log().error("The unit refuses this leg; its I/O fails", { reason: this.#reason });
        return;
      case "closing":
        return this.#leave(before);
      case "closed":
        return this.#enterClosed();
      default:
        return unreachable(this.#phase);
    }
  }

  #recover(): void {
    const connection = defined(this.#connection, "a leg recovers on a connection");
    // After a failed flush the unit's caches may have dropped what the verifier does not show.
    const replay = this.#memory.isReplayDue || this.queue.flushFailed;
    const { log } = this.queue;
    if (replay && !log.isEmpty) {
      this.#counters.add(LEG_CELL.replayed, log.end - log.begin);
      this.#log().info("Replaying what was not flushed", { changes: log.end - log.begin });
    }
    this.queue.connect(connection);
    this.#recovery.start({ replay });
  }

  #enterReady(): void {
    this.#expiry.unset();
    this.#log().info(this.#expired ? "The unit is back, I/O works again" : "Attached to the unit");
    this.#expired = false;
    this.#counters.add(LEG_CELL.attached, 1);
    this.#reason = null;
    this.#wasReady = true;
    this.#link.ready();
    this.queue.run();
  }

  #startExpiry(): void {
    if (!this.#expired && !this.#expiry.isSet) this.#expiry.set(this.#options.ioTimeoutMs);
  }

  #leave(before: LegPhase): void {
    this.#expiry.unset();
    this.queue.hold();
    const connection = this.#connection;
    if (before === "ready" && connection?.outstanding === 0) connection.goodbye();
    else this.#drop("detached");
  }

  #enterClosed(): void {
    this.#expiry.unset();
    this.#link.stop();
    this.queue.fail({ errno: WIRE_ERROR.io, beforeMs: Infinity });
    const isClean = this.#memory.close();
    this.queue.log.close();
    this.#closed?.(isClean);
  }

  #log(): Log {
    const { unitName: unit, leg, volumeId: volume } = this.#assignment;
    return this.#options.log.with({ unit, leg, volume });
  }
}
