import { assert } from "../../protocol/core/assert.ts";
import { COMMAND, COMMAND_FLAGS, WIRE_ERROR, wireErrorOf } from "../../protocol/nbd/constants.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Io } from "../io/io.ts";
import type { Asker, Operation } from "../io/operation.ts";
import type { ClientConnection } from "../nbd/client_connection.ts";
import { FlyingList } from "./leg_flying.ts";
import type { ReplayLog } from "./leg_log.ts";
import { LegLosses } from "./leg_losses.ts";
import { LaterResults, LegList, LegRequest } from "./leg_request.ts";
import { LegRequestPool } from "./leg_request_pool.ts";

const ESHUTDOWN = 108;

/**
 * The requests of a leg, and the log of what was acknowledged and not flushed. It does not know
 * why a connection is there or not: the leg gives it one, says when requests may run, and takes it
 * away.
 *
 * Why a reader always sees the newest acknowledged data:
 *
 * 1. Two changes of the same block are never under way side by side: the later waits for the
 *    earlier one's answer. So the order of answers is the order on the unit, and the log, which is
 *    appended to at the answer, has that order too.
 * 2. After a connection was lost nothing of it can land any more once the next attachment was
 *    answered (the unit waits for what it had submitted, data-path.md §3). Only then do we go on.
 * 3. Recovery (leg_recovery.ts) first replays the log when the unit may have forgotten, of each
 *    byte the newest only, so that nothing falls back should this host end meanwhile;
 *    then repeats the changes that were never answered, in order, and waits for all the answers.
 *    Reads, flushes and new requests run only after that. So a read cannot overtake a replay; and
 *    it cannot see a block fall back that another reader already saw changed by an unanswered
 *    write, because that write is repeated before anybody reads again.
 * 4. A change whose caller was told an error is neither logged nor repeated. Whether its blocks
 *    are old or new is undefined for the caller, as for any disk, but it cannot land later:
 *    by 2, it is dead before anything newer is sent.
 * 5. A read is answered from the unit alone, never from the log, and its buffer is filled anew
 *    when it is repeated.
 */
export class LegQueue {
  readonly log: ReplayLog;
  /** Under way on the connection, oldest first. */
  readonly flying = new FlyingList();
  /** Changes that were under way on a lost connection; recovery repeats them. */
  readonly repeats = new LegList();
  /** Not sent yet, in order. */
  readonly waiting = new LegList();
  readonly later: LaterResults;
  /** Since a flush failed nothing is called durable until everything was replayed. */
  flushFailed = false;
  /** Acknowledged changes that were given up, which flushes have to tell. */
  readonly losses = new LegLosses();
  readonly #io: Io;
  readonly #counters: CounterRow;
  readonly #pool: LegRequestPool;
  readonly #ownFlush = new LegRequest();
  #connection: ClientConnection | null = null;
  #running = false;
  #logIsFull = false;
  /**
   * Whether the unit may hold unflushed writes that are not in the log: those of an earlier process
   * of this host. So the first flush always goes to the unit.
   */
  unknownBefore = true;

  constructor(io: Io, parts: { readonly log: ReplayLog; readonly counters: CounterRow }) {
    this.#io = io;
    this.log = parts.log;
    parts.log.roomChanged = () => io.atTurnEnd(this.#pumpTask);
    this.#counters = parts.counters;
    this.#pool = new LegRequestPool(io, parts.counters);
    this.later = new LaterResults(io);
    this.#ownFlush.purpose = "flush";
    this.#ownFlush.command = COMMAND.flush;
  }

  /** Whether a flush has to ask the unit. */
  get isDirty(): boolean {
    return !this.log.isEmpty || this.unknownBefore || this.flushFailed || this.losses.isUntold;
  }

  /** A request to fill in and admit, or null when there are too many. */
  take(operation: Operation, command: number): LegRequest | null {
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    const request = this.#pool.take(operation, command);
    if (request === null) this.later.put(operation, -WIRE_ERROR.noMemory);
    return request;
  }

  admit(request: LegRequest): void {
    this.waiting.push(request);
    this.#pump();
  }

  /** A connection for recovery; requests wait until `run`. */
  connect(connection: ClientConnection): void {
    this.#connection = connection;
  }

  run(): void {
    this.#running = true;
    this.#pump();
  }

  /** New requests wait; those under way go on. */
  hold(): void {
    this.#running = false;
  }

  /**
   * Nothing of the connection is under way any more; `replayLost` takes back each replay. Changes
   * are repeated, whoever asked for them: others may have read them. Of reads and flushes only
   * those that somebody waits for are asked anew.
   */
  disconnect(replayLost: (request: LegRequest) => void): void {
    this.#connection = null;
    this.#running = false;
    const waiting = new LegList();
    const repeats = new LegList();
    waiting.take(this.waiting);
    repeats.take(this.repeats);
    // Those that were sent are older than those that were not.
    for (let request = this.flying.shift(); request !== null; request = this.flying.shift()) {
      if (request.purpose === "replay") replayLost(request);
      if (request.purpose !== "caller") continue;
      this.#counters.completed();
      if (request.isChange) this.repeats.push(request);
      else if (request.operation?.asker?.hasGone) this.#drop(request);
      else this.waiting.push(request);
    }
    this.repeats.take(repeats);
    this.waiting.take(waiting);
  }

  /** Whether `trySend` can send now; a change must not meet one that is under way. */
  canSend(request: LegRequest): boolean {
    if (this.#connection === null || !this.#connection.hasRoom) return false;
    return !request.isChange || !this.flying.hasChangeIn(request.position, request.length);
  }

  /** Sends a request that is in no list and for which the log has room. */
  send(request: LegRequest): void {
    if (request.command === COMMAND.flush) request.mark = this.log.end;
    this.flying.push(request);
    if (request.purpose === "caller") this.#counters.submitted();
    this.#connection!.submit(request);
  }

  /** The connection's answer to a request of a caller, or to the leg's own flush. */
  answered(request: LegRequest): void {
    this.flying.remove(request);
    let result = request.error === 0 ? 0 : -wireErrorOf(request.error);
    if (request.command === COMMAND.flush) {
      result = this.flushAnswered(request);
    } else if (request.isChange) {
      if (!request.isUnlogged) this.#logAnswered(request, result);
    }
    if (request.purpose === "caller") {
      this.#counters.completed();
      const operation = this.#pool.giveBack(request, result);
      operation.result = result === 0 ? request.resultCount : result;
      operation.busy = false;
      operation.done(operation);
    }
    this.#pump();
  }

  /** What a flush's answer means for the log; 0 or a negated errno for who asked. */
  flushAnswered(request: LegRequest): number {
    if (request.error !== 0) this.flushFailed = true;
    // A flush that succeeds after one that failed proves nothing (data-path.md §5).
    if (this.flushFailed) return -WIRE_ERROR.io;
    this.log.releaseBefore(request.mark);
    this.unknownBefore = false;
    this.log.show(this.#counters);
    return 0;
  }

  /** Gives up what is in the log; the next flush of everybody who is there fails. */
  forget(): void {
    this.losses.add(this.#io.nowMs());
    this.log.releaseBefore(this.log.end);
    this.log.show(this.#counters);
  }

  /** Fails everything that is not under way; with `beforeMs` only what was asked before then. */
  fail(options: { errno: number; beforeMs: number }): number {
    return this.#failList(this.repeats, options) + this.#failList(this.waiting, options);
  }

  /**
   * Ends what was never sent for who has gone: it would keep others out for as long as the unit is
   * away. What was sent goes on: changes may have been done, and the rest ends with its connection.
   */
  letGo(asker: Asker): void {
    this.losses.letGo(asker);
    let request = this.waiting.head;
    while (request !== null) {
      const next: LegRequest | null = request.next;
      if (request.operation?.asker === asker) {
        this.waiting.remove(request);
        this.#drop(request);
      }
      request = next;
    }
  }

  /** Who asked has gone, and it is in no list. */
  #drop(request: LegRequest): void {
    this.later.put(this.#pool.drop(request), -ESHUTDOWN);
  }

  #failList(list: LegList, { errno, beforeMs }: { errno: number; beforeMs: number }): number {
    let failed = 0;
    let request = list.head;
    while (request !== null) {
      const next: LegRequest | null = request.next;
      if (request.sinceMs < beforeMs) {
        list.remove(request);
        // A repeat has its room in the log, what waits has none yet.
        if (list === this.repeats && !request.isUnlogged) this.log.unreserve(request);
        this.later.put(this.#pool.giveBack(request, -errno), -errno);
        failed++;
      }
      request = next;
    }
    return failed;
  }

  #pump(): void {
    while (this.#running) {
      const request = this.waiting.head;
      if (request === null || !this.canSend(request)) break;
      if (this.#refusesDurable(request)) continue;
      if (request.isChange && !this.#reserve(request)) break;
      this.waiting.remove(request);
      this.send(request);
    }
    this.#flushWhenDue();
  }

  /** After a failed flush nothing may be called durable, so such requests fail at once. */
  #refusesDurable(request: LegRequest): boolean {
    const isFlush = request.command === COMMAND.flush;
    const asker = request.operation?.asker ?? null;
    // FUA speaks for its own change alone, so it does not tell of others that were given up.
    const fails = isFlush
      ? this.flushFailed || this.losses.isOwed(asker)
      : this.flushFailed && (request.flags & COMMAND_FLAGS.fua) !== 0;
    if (!fails) return false;
    // Somebody who has gone hears nothing: who comes next has to.
    if (isFlush && !asker?.hasGone) this.losses.tell(asker);
    this.#refuse(request);
    return true;
  }

  #refuse(request: LegRequest): void {
    this.waiting.remove(request);
    this.later.put(this.#pool.giveBack(request, -WIRE_ERROR.io), -WIRE_ERROR.io);
  }

  #reserve(request: LegRequest): boolean {
    this.#logIsFull = !this.log.reserve(request);
    if (!this.#logIsFull) return true;
    if (this.flushFailed) {
      // The log can never be emptied: what does not fit cannot be protected, so it is refused.
      this.#refuse(request);
      this.#io.atTurnEnd(this.#pumpTask);
    } else if (this.log.holdsNothing) {
      // Others have all the memory, perhaps for as long as their units are away. With nothing in
      // this log, what is durable at its answer needs no place in it.
      request.isUnlogged = true;
      request.flags |= COMMAND_FLAGS.fua;
      return true;
    }
    return false;
  }

  readonly #pumpTask = { queued: false, run: () => this.#pump() };

  #flushWhenDue(): void {
    if (!this.#running || this.flushFailed || this.log.isEmpty) return;
    if (!this.log.isFlushDue && !this.#logIsFull) return;
    if (this.#ownFlush.list === null && this.canSend(this.#ownFlush)) this.send(this.#ownFlush);
  }

  #logAnswered(request: LegRequest, result: number): void {
    if (result !== 0) return this.log.unreserve(request);
    // A replay ends with a flush, so FUA has no meaning there; and it must not fail for being slow.
    request.flags &= ~(COMMAND_FLAGS.fua | COMMAND_FLAGS.fastZero);
    this.log.append(request);
    this.log.show(this.#counters);
  }
}
