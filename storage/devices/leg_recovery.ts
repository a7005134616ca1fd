import { unreachable } from "../../protocol/core/assert.ts";
import { LEG_REPLAY_PIECE_BYTES, LEG_REPLAYS_MAX } from "../../protocol/core/limits.ts";
import { COMMAND } from "../../protocol/nbd/constants.ts";
import type { BufferWaiter, Io, Off } from "../io/io.ts";
import type { LoggedChange } from "./leg_log.ts";
import type { LegQueue } from "./leg_queue.ts";
import type { ReplayBuffers } from "./leg_replay_buffers.ts";
import { planReplay, type ReplayPiece } from "./leg_replay_plan.ts";
import { LegRequest } from "./leg_request.ts";

export interface RecoveryEvents {
  /** Everything was answered: requests may run. */
  recovered(): void;
  /** What was acknowledged cannot be brought back over this connection. */
  failed(reason: string): void;
}

type Step = "idle" | "replaying" | "flushing" | "repeating";

/**
 * What is done on a new attachment before anything else runs: replay the newest of what the log
 * holds (leg_replay_plan.ts) if the unit may have forgotten some of it, flush that, then repeat the
 * changes that were never answered. Pieces of the log go out several at a time.
 * A connection lost in between starts it all anew on the next one.
 */
export class LegRecovery {
  readonly #io: Io;
  readonly #buffers: ReplayBuffers;
  readonly #unitId: string;
  readonly #queue: LegQueue;
  readonly #events: RecoveryEvents;
  #step: Step = "idle";
  #plan: readonly ReplayPiece[] = [];
  /** Which of the plan is being replayed, and how much of it was sent. */
  #at = 0;
  #sent = 0;
  readonly #change: LoggedChange = { command: 0, flags: 0, position: 0, length: 0 };
  readonly #spare: LegRequest[] = [];
  readonly #flush = new LegRequest();
  /** The next piece, made ready and perhaps waiting for its turn. */
  #piece: LegRequest | null = null;
  #waitsForBuffer = false;
  readonly #waiter: BufferWaiter = { run: (off) => this.#onBuffer(off) };

  constructor(
    by: { io: Io; buffers: ReplayBuffers; unitId: string },
    queue: LegQueue,
    events: RecoveryEvents,
  ) {
    this.#io = by.io;
    this.#buffers = by.buffers;
    this.#unitId = by.unitId;
    this.#queue = queue;
    this.#events = events;
    for (let i = 0; i < LEG_REPLAYS_MAX; i++) {
      const request = new LegRequest();
      request.purpose = "replay";
      this.#spare.push(request);
    }
    this.#flush.purpose = "replay";
    this.#flush.command = COMMAND.flush;
  }

  get isUnderWay(): boolean {
    return this.#step !== "idle";
  }

  /** Begins on a connection that the queue has just been given. */
  start(options: { replay: boolean }): void {
    this.#plan = options.replay ? planReplay(this.#queue.log) : [];
    this.#at = 0;
    this.#sent = 0;
    this.#step = options.replay ? "replaying" : "repeating";
    this.advance();
  }

  /** The connection is gone or given up: nothing more is sent. What was sent gets `lost`. */
  stop(): void {
    this.#step = "idle";
    this.#plan = [];
    if (this.#waitsForBuffer) this.#buffers.withdraw(this.#waiter);
    this.#waitsForBuffer = false;
    if (this.#piece !== null) this.#putBack(this.#piece);
    this.#piece = null;
  }

  /** A replay that was under way on a lost connection: its buffer is free again. */
  lost(request: LegRequest): void {
    if (request !== this.#flush) this.#putBack(request);
  }

  /** The answer to a request of this recovery. */
  answered(request: LegRequest): void {
    this.#queue.flying.remove(request);
    if (request === this.#flush) {
      // All that was acknowledged is on the unit again, so its answer is worth something.
      this.#queue.flushFailed = false;
      this.#queue.flushAnswered(request);
      this.#step = "repeating";
    } else {
      this.#putBack(request);
      if (request.error !== 0) {
        const reason = `the unit answered a replayed write with error ${request.error}`;
        return this.#events.failed(reason);
      }
    }
    this.advance();
  }

  /** Sends what can be sent now, and goes on to the next step when all of one was answered. */
  advance(): void {
    for (;;) {
      switch (this.#step) {
        case "idle":
          return;
        case "replaying":
          if (!this.#sendPieces() || !this.#queue.canSend(this.#flush)) return;
          this.#step = "flushing";
          this.#plan = [];
          this.#queue.send(this.#flush);
          return;
        case "flushing":
          return;
        case "repeating":
          if (!this.#sendRepeats()) return;
          this.#step = "idle";
          return this.#events.recovered();
        default:
          return unreachable(this.#step);
      }
    }
  }

  /** True once all of the plan was sent and answered. */
  #sendPieces(): boolean {
    const queue = this.#queue;
    while (this.#piece !== null || this.#at < this.#plan.length) {
      if (this.#waitsForBuffer) return false;
      if (this.#piece === null && !this.#preparePiece()) return false;
      const piece = this.#piece;
      if (piece === null || !queue.canSend(piece)) return false;
      this.#piece = null;
      queue.send(piece);
    }
    return queue.flying.count === 0;
  }

  /** Makes the next piece ready; false when it has to wait for a request or a buffer. */
  #preparePiece(): boolean {
    const request = this.#spare.pop();
    if (request === undefined) return false;
    const planned = this.#plan[this.#at]!;
    this.#queue.log.read(planned.sequence, this.#change);
    const isWrite = this.#change.command === COMMAND.write;
    const rest = planned.length - this.#sent;
    request.command = this.#change.command;
    request.flags = this.#change.flags;
    request.position = this.#change.position + planned.skip + this.#sent;
    request.length = isWrite ? Math.min(rest, LEG_REPLAY_PIECE_BYTES) : rest;
    request.off = -1;
    this.#piece = request;
    if (!isWrite) {
      this.#goOn(request.length);
      return true;
    }
    this.#waitsForBuffer = true;
    this.#buffers.wait(this.#waiter, this.#unitId);
    return !this.#waitsForBuffer;
  }

  #onBuffer(off: Off): void {
    const request = this.#piece!;
    const { bytes } = this.#io;
    this.#waitsForBuffer = false;
    request.off = off;
    const { sequence, skip } = this.#plan[this.#at]!;
    const piece = { skip: skip + this.#sent, length: request.length, target: bytes, off };
    this.#queue.log.copyOut(sequence, piece);
    this.#goOn(request.length);
    // A buffer may be had inside `wait`, or later, when somebody else released it.
    this.#io.atTurnEnd(this.#advanceTask);
  }

  readonly #advanceTask = { queued: false, run: () => this.advance() };

  #goOn(length: number): void {
    this.#sent += length;
    if (this.#sent < this.#plan[this.#at]!.length) return;
    this.#at++;
    this.#sent = 0;
  }

  #putBack(request: LegRequest): void {
    if (request.off >= 0) this.#buffers.release(request.off, this.#unitId);
    request.off = -1;
    this.#spare.push(request);
  }

  /** True once every change that had no answer was sent again and answered. */
  #sendRepeats(): boolean {
    const { repeats, flying } = this.#queue;
    while (repeats.head !== null && this.#queue.canSend(repeats.head)) {
      const request = repeats.head;
      repeats.remove(request);
      this.#queue.send(request);
    }
    return repeats.count === 0 && flying.count === 0;
  }
}
