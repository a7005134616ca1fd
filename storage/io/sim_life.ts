import { assert } from "../../protocol/core/assert.ts";
import { Completions } from "./completions.ts";
import type * as io from "./io.ts";
import type { Operation } from "./operation.ts";
import type { SimAlarm, SimPlace } from "./sim_schedule.ts";
import type { SimWorld } from "./sim_world.ts";
import { TimerHeap } from "./timers.ts";

export interface SimIoOptions {
  readonly world: SimWorld;
  readonly arena: io.ArenaOptions;
  /** Where it is; needed in a world with a schedule. */
  readonly place?: SimPlace;
  /**
   * In a world with a schedule: called when a turn has something to do, once until that turn. The
   * turn is taken later, never inside.
   */
  readonly onReady?: () => void;
  /**
   * Called before each operation is submitted, with what it is; a throw means that the process was
   * killed just before, and it is made dead by then.
   */
  readonly onSubmit?: (what: string) => void;
  /** The machine's clock, where that goes another way than true time. */
  readonly clock?: SimOwnClock;
}

/** A clock that may be slow or fast. */
export interface SimOwnClock {
  nowMs(): number;
  /** True time that passes until this clock went on by `ownMs`. */
  trueMs(ownMs: number): number;
}

/** Own time is rounded when it is made of true time: a timer is late by that rather than early. */
const ROUNDING_MS = 0.001;

/** Time and results of a simulated Io, and whether its process lives. */
export abstract class SimLife {
  readonly world: SimWorld;
  readonly place: SimPlace | null;
  protected readonly completions = new Completions();
  protected readonly timers = new TimerHeap();
  protected woken = false;
  protected wake: (() => void) | null = null;
  timeMs: number;
  /** Its process was killed: whatever is still called does nothing, and nothing ends. */
  protected isDead = false;
  readonly #onReady: () => void;
  readonly #onSubmit: (what: string) => void;
  readonly #clock: SimOwnClock | null;
  #saidReady = false;
  #alarm: SimAlarm | null = null;
  #alarmMs = Infinity;

  constructor(options: SimIoOptions) {
    const { world, place = null } = options;
    assert(world.schedule === null || place !== null, "a world with a schedule has places");
    this.world = world;
    this.place = place;
    this.#onReady = options.onReady ?? (() => {});
    this.#onSubmit = options.onSubmit ?? (() => {});
    this.#clock = options.clock ?? null;
    if (place !== null) world.addAddress(place.address, place.machine);
    this.timeMs = this.ownMs;
  }

  nowMs(): number {
    return this.timeMs;
  }

  /** Nothing takes time inside a call. */
  get preciseMs(): number {
    return this.timeMs;
  }

  timer(operation: Operation, delayMs: number): void {
    this.submitting("a timer");
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    if (this.isDead) return;
    this.timers.add(operation, this.ownMs + delayMs);
    this.armTimer();
  }

  /** What a write to the eventfd does elsewhere. */
  wakeNow(): void {
    this.woken = true;
    this.ready();
  }

  brought(_handle: io.Handle, _count: number): void {}

  isAside(_off: io.Off): boolean {
    return false;
  }

  onWake(run: () => void): void {
    this.wake = run;
  }

  atTurnEnd(task: io.TurnTask): void {
    if (this.isDead) return;
    this.completions.addTask(task);
    this.ready();
  }

  /** The time as this process sees it. */
  protected get ownMs(): number {
    return this.#clock?.nowMs() ?? this.world.schedule?.nowMs() ?? this.world.nowMs;
  }

  /** Comes first in every submission. */
  protected submitting(what: string): void {
    if (!this.isDead) this.#onSubmit(what);
  }

  protected get machine(): string {
    return this.place?.machine ?? "";
  }

  /** A turn has something to do. */
  protected ready(): void {
    if (this.#saidReady || this.isDead || this.world.schedule === null) return;
    this.#saidReady = true;
    this.#onReady();
  }

  /** Queues a result for the next turn. */
  protected complete(operation: Operation, result: number): void {
    if (this.isDead) return;
    this.completions.push(operation, result);
    this.ready();
  }

  /** Reads the time and takes the timers that are due; what comes later needs another turn. */
  protected turnBegins(): void {
    this.#saidReady = false;
    this.timeMs = this.ownMs;
    for (let due = this.timers.takeDue(this.timeMs); due !== null;) {
      this.completions.push(due, 0);
      due = this.timers.takeDue(this.timeMs);
    }
    this.armTimer();
  }

  /** Waiting is what makes time pass; without an end to wait for, it stands still. */
  protected passTime(maxWaitMs: number): void {
    const world = this.world;
    let waitMs = maxWaitMs;
    if (this.completions.pending || this.woken) {
      this.completions.runTasks();
      waitMs = 0;
    }
    const untilMs = Math.min(world.nowMs + waitMs, this.timers.nextMs);
    if (waitMs > 0 && untilMs !== Infinity) world.nowMs = Math.max(world.nowMs, untilMs);
  }

  /** It is dead: no result is told any more, and no timer runs. */
  protected silence(): void {
    this.isDead = true;
    this.#alarm?.cancel();
    this.completions.clear();
  }

  /** Asks the schedule for the first timer. */
  protected armTimer(): void {
    const { schedule } = this.world;
    const nextMs = this.timers.nextMs;
    if (schedule === null || nextMs === this.#alarmMs) return;
    this.#alarm?.cancel();
    this.#alarm = null;
    this.#alarmMs = nextMs;
    if (nextMs === Infinity) return;
    const ownDelayMs = Math.max(0, nextMs - this.ownMs);
    const delayMs = this.#clock === null
      ? ownDelayMs
      : this.#clock.trueMs(ownDelayMs) + ROUNDING_MS;
    this.#alarm = schedule.after(delayMs, `${this.place!.process}: a timer of its Io`, () => {
      this.#alarmMs = Infinity;
      this.ready();
    });
  }
}
