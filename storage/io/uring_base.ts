import {
  LOOK_GAP_MS,
  LOOK_MS,
  TIMER_SLACK_NS,
  ZERO_WRITE_BYTES,
} from "../../protocol/core/limits.ts";
import { assert } from "../../protocol/core/assert.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import { Errno } from "./errno.ts";
import type { ArenaOptions } from "./io.ts";
import type { Libc } from "./libc.ts";
import { type Slot, SlotKind } from "./slot.ts";
import { AsideIo } from "./aside_io.ts";
import { Alarm } from "./uring_alarm.ts";
import { openRing, type UringBuffers, type UringParts } from "./uring_buffers.ts";
import { Eagerness, LOOKS_PER_CLOCK } from "./eagerness.ts";
import { type EntryMemory, fillCancel, fillEntry } from "./uring_entries.ts";
import type { CompletionSink, Ring } from "./uring_ring.ts";

/** User data of the request to cancel slot 0; that of slot n is n below. */
const CANCEL_OF_0 = -1;

export interface UringOptions {
  readonly arena: ArenaOptions;
  readonly libc?: Libc | undefined;
  readonly standsBetween?: boolean | undefined;
}

/**
 * The ring and what it needs around it: opening and closing, handing submissions over, waking, and
 * asking operations to end. Every operation has a slot; its index is the user data.
 */
export abstract class UringBase extends AsideIo implements CompletionSink {
  readonly kind = "uring";
  protected readonly receiveBuffers: UringBuffers;
  readonly #ring: Ring;
  readonly #wakeWord: MappedMemory;
  readonly #zeroes: MappedMemory;
  readonly #memory: EntryMemory;
  readonly #alarm: Alarm;
  readonly #alarmSlot: Slot;
  readonly #eagerness = new Eagerness();

  constructor(options: UringOptions) {
    super({ ...options, socketFlags: 0, wakeFlags: 0 });
    const { ring, receiveBuffers } = this.#open();
    this.#ring = ring;
    this.receiveBuffers = receiveBuffers;
    this.#wakeWord = new MappedMemory(this.libc, 8);
    this.#zeroes = new MappedMemory(this.libc, ZERO_WRITE_BYTES);
    this.#alarm = new Alarm(this.libc);
    this.#memory = {
      arena: this.arena.address,
      messages: this.messages,
      fileDescriptors: this.handles.fileDescriptors,
      wakeFd: this.wakeFd,
      wakeWord: this.#wakeWord.address,
      alarmTime: this.#alarm.address,
      zeroes: this.#zeroes.address,
    };
    this.submit(this.takeSlot(SlotKind.wake));
    this.#alarmSlot = this.takeSlot(SlotKind.alarm);
    this.libc.call.prctl(abi.PR_SET_TIMERSLACK, TIMER_SLACK_NS);
  }

  protected override served(index: number): void {
    this.#eagerness.served(index);
  }

  protected override movedMuch(): void {
    this.#eagerness.movedMuch();
  }

  /** Gives everything back before it throws: the caller may go on with epoll. */
  #open(): UringParts {
    try {
      return openRing(this.libc, {
        count: this.buffers.receiveCount,
        start: this.buffers.receiveStart,
        arenaAddress: this.arena.address,
      });
    } catch (error) {
      this.giveBack();
      throw error;
    }
  }

  protected submit(slot: Slot): void {
    fillEntry(this.#ring, slot, this.#memory);
  }

  protected exchange(waits: boolean): void {
    const ring = this.#ring;
    const hasGathered = waits && this.gather();
    if (waits && !this.#finds(hasGathered)) return this.#sleep();
    if (!waits || ring.isBehind) ring.enter(0);
    this.readClock();
    ring.reap(this);
  }

  /** Since the last results: whoever has worked for long need not save the time of a wake-up. */
  #hasWorkedBriefly(): boolean {
    const beganMs = this.timeMs;
    this.readClock();
    return this.timeMs - beganMs < LOOK_MS;
  }

  #sleep(): void {
    const beganMs = this.timeMs;
    if (!this.#alarm.isSet && this.untilMs !== Infinity) {
      this.#alarm.set(this.untilMs);
      this.submit(this.#alarmSlot);
    }
    this.#ring.enter(this.#alarm.covers(this.untilMs) ? Infinity : this.leftMs());
    this.readClock();
    this.#eagerness.slept(this.timeMs - beganMs);
    this.#ring.reap(this);
  }

  /** Its sleep has ended, and with that the turn. */
  protected alarmRang(result: number): void {
    assert(result !== -Errno.EINVAL, "the kernel has timeouts");
    this.#alarm.rang();
  }

  /** Looks for results, if that pays and nothing was gathered. False: it is time to sleep. */
  #finds(hasGathered: boolean): boolean {
    const ring = this.#ring;
    const mayLook = this.mayLook && this.#eagerness.looks;
    const looks = mayLook && (hasGathered || this.#hasWorkedBriefly());
    if (!looks && !hasGathered) return false;
    if (ring.hasUnsubmitted) ring.enter(0);
    // Nothing is known of looking where a sleep would have ended at once as well.
    return ring.hasResults || (looks && this.#look());
  }

  #look(): boolean {
    const ring = this.#ring;
    this.readClock();
    const endMs = Math.min(this.timeMs + LOOK_MS, this.untilMs);
    for (;;) {
      const beganMs = this.timeMs;
      let found = false;
      for (let i = 0; i < LOOKS_PER_CLOCK && !found; i++) found = ring.hasResults;
      this.readClock();
      const wasInterrupted = this.timeMs - beganMs > LOOK_GAP_MS;
      if (!found && !wasInterrupted && this.timeMs < endMs) continue;
      this.#eagerness.looked(found && !wasInterrupted);
      return found;
    }
  }

  protected track(_index: number): void {}
  protected forget(_index: number): void {}

  protected abort(index: number): void {
    for (const slot of this.slots) {
      if (slot.handle === index && slot.kind >= SlotKind.accept) this.cancelAt(slot.index);
    }
  }

  protected askToCancel(index: number): void {
    fillCancel(this.#ring, { target: index, user: CANCEL_OF_0 - index });
  }

  /** Takes a result from the ring: that of a cancelling here, those of slots in `slotCompleted`. */
  completed(user: number, result: number, flags: number): void {
    if (user < 0) this.#cancelAnswered(CANCEL_OF_0 - user, result);
    else this.slotCompleted(this.slots[user]!, result, flags);
  }

  /**
   * The kernel does not find an operation that is just between two of its queues: it is asked
   * again, since a connect or accept may otherwise wait for ever.
   */
  #cancelAnswered(index: number, result: number): void {
    const slot = this.slots[index]!;
    const isMissed = result === -Errno.ENOENT || result === -Errno.EALREADY;
    if (isMissed && slot.cancelled && slot.kind !== SlotKind.free) this.askToCancel(index);
  }

  /** The slots of waking and of the alarm are taken to the end; closing the ring ends them. */
  protected finish(): void {
    this.untilMs = Infinity;
    while (this.slotsInUse > 2) this.exchange(true);
    this.#ring.close();
    this.receiveBuffers.close();
    this.#wakeWord.discard();
    this.#zeroes.discard();
    this.#alarm.close();
  }

  /** The kernel has answered what was submitted for `slot`. */
  protected abstract slotCompleted(slot: Slot, result: number, flags: number): void;
}
