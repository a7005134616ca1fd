import { assert } from "../../protocol/core/assert.ts";
import {
  IO_OPERATIONS_MAX,
  LOOK_BYTES_MAX,
  SEND_AHEAD_BYTES_MAX,
  SEND_AHEAD_BYTES_MIN,
} from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { DirectCalls, type Span } from "./direct_calls.ts";
import { Errno } from "./errno.ts";
import { Gathering } from "./gathering.ts";
import { HandleKind } from "./handles.ts";
import type { Handle, Off, Transfer } from "./io.ts";
import { KernelIo, type KernelIoOptions } from "./kernel_io.ts";
import { Messages } from "./messages.ts";
import type { Operation } from "./operation.ts";
import { Slot, SlotKind, SlotQueue } from "./slot.ts";

const ONE_OF_EACH = "a stream has one receive and one send under way";

export interface SlotIoOptions extends KernelIoOptions {
  /** See createIo: nothing is gathered. */
  readonly standsBetween?: boolean | undefined;
}

/**
 * A KernelIo whose operations under way each have a slot, made once and used again. What can be
 * done at once is done by direct calls, which are here as well.
 */
export abstract class SlotIo extends KernelIo {
  protected readonly messages: Messages;
  protected readonly calls: DirectCalls;
  readonly #span: Span = { address: 0, length: 0, position: 0 };
  protected readonly slots: Slot[] = [];
  protected slotsInUse = 0;
  readonly #free = new SlotQueue();
  protected readonly gathering: Gathering;
  readonly #standsBetween: boolean;

  constructor(options: SlotIoOptions) {
    super(options);
    this.#standsBetween = options.standsBetween === true;
    this.gathering = new Gathering(this, { neverWaits: this.#standsBetween });
    this.messages = new Messages(this.libc, this.arena.address);
    this.calls = new DirectCalls(this.libc);
  }

  protected override giveBack(): void {
    this.messages.close();
    super.giveBack();
  }

  /**
   * Sends what the socket takes at once, which is nearly always all of it; `sendRest` sees to the
   * rest. So replies leave while the turn goes on, and their end needs no further system call.
   */
  sendGathered(
    operation: Operation,
    handle: Handle,
    segments: Float64Array,
    count: number,
  ): void {
    const index = this.#beginOn(operation, handle);
    if (index < 0) return;
    assert(this.handles.sending[index] === 0, ONE_OF_EACH);
    const result = this.sendNow(index, segments, count);
    const length = lengthOf(segments, count);
    if (length >= count * LOOK_BYTES_MAX) this.movedMuch();
    const isOver = result === length || (result < 0 && result !== -Errno.EAGAIN);
    if (isOver) return this.completions.pushFirst(operation, result);
    const slot = this.#slotFor(operation, index, SlotKind.sendGathered);
    this.claim(this.handles.sending, slot);
    slot.segments = this.messages.fill(index, segments, count);
    slot.length = length;
    if (result > 0) this.sent(slot, result);
    this.sendRest(slot);
  }

  /** Sending nothing sends nothing, but fails where nothing could be sent (unix(7), tcp(7)). */
  hasGone(handle: Handle): boolean {
    const index = this.handles.find(handle);
    if (index < 0) return true;
    const fd = this.handles.fileDescriptors[index]!;
    const result = this.calls.send(fd, this.spanOf(0, 0));
    return result < 0 && result !== -Errno.EAGAIN;
  }

  sendAtOnce(handle: Handle, off: Off, length: number): number {
    const index = this.handles.find(handle);
    if (index < 0) return -Errno.EBADF;
    assert(this.handles.sending[index] === 0, ONE_OF_EACH);
    return this.calls.send(this.handles.fileDescriptors[index]!, this.spanOf(off, length));
  }

  readAtOnce(handle: Handle, at: Transfer): number {
    const fd = this.handles.fileDescriptors[this.live(handle)]!;
    const result = this.calls.readMedium(fd, this.#spanOfTransfer(at));
    this.#readPreciseClock();
    return result;
  }

  writeAtOnce(handle: Handle, at: Transfer): number {
    const fd = this.handles.fileDescriptors[this.live(handle)]!;
    const result = this.calls.writeMedium(fd, this.#spanOfTransfer(at));
    this.#readPreciseClock();
    return result;
  }

  /** A medium has been waited for. */
  #readPreciseClock(): void {
    this.clock.read();
    this.preciseMs = this.clock.timeMs;
  }

  #spanOfTransfer({ off, length, position }: Transfer): Span {
    const span = this.spanOf(off, length);
    span.position = position;
    return span;
  }

  brought(handle: Handle, count: number): void {
    const index = this.handles.find(handle);
    if (index < 0) return;
    this.gathering.brought(index, count);
    this.served(index);
  }

  /**
   * Lets peers send more before what they sent is received, if that pays: false when it was not
   * waited for. Awake, since a sleep would take longer; and before the next receives are submitted,
   * so that a peer wakes nobody while it sends.
   */
  protected gather(): boolean {
    const us = this.gathering.takeWaitUs();
    if (us === 0) return false;
    const endMs = Math.min(this.timeMs + us / 1000, this.untilMs);
    do this.readClock(); while (this.timeMs < endMs);
    return true;
  }

  /** For adapters that look for work before they sleep: whether they may. */
  protected get mayLook(): boolean {
    return !this.#standsBetween || !this.gathering.hasMany;
  }

  /** For the same. */
  protected served(_index: number): void {}
  protected movedMuch(): void {}

  /** The count of what the socket takes at once, or an errno. */
  protected sendNow(index: number, segments: Float64Array, count: number, flags = 0): number {
    const fd = this.handles.fileDescriptors[index]!;
    if (count === 1) return this.#sendOne(fd, segments[0]!, segments[1]!, flags);
    this.messages.fill(index, segments, count);
    return this.calls.sendMessage(fd, this.messages.pointerOf(index), flags);
  }

  /**
   * A header that stands before much data goes ahead of it, with the word that more follows: where
   * the kernel paces a connection (BBR), it then sends all of it at once, for a quarter less of the
   * processor; elsewhere it makes no difference.
   */
  #sendOne(fd: number, off: Off, length: number, flags: number): number {
    const ahead = abi.PAGE_BYTES - off % abi.PAGE_BYTES;
    if (ahead > SEND_AHEAD_BYTES_MAX || length - ahead < SEND_AHEAD_BYTES_MIN) {
      return this.calls.send(fd, this.spanOf(off, length), flags);
    }
    const result = this.calls.send(fd, this.spanOf(off, ahead), flags | abi.MSG_MORE);
    if (result < ahead) return result;
    const rest = this.calls.send(fd, this.spanOf(off + ahead, length - ahead), flags);
    return ahead + Math.max(0, rest);
  }

  /** So much of a gathered send has left, and not all. */
  protected sent(slot: Slot, count: number): void {
    slot.position += count;
    const progress = { first: slot.done, used: slot.segments, sent: count };
    slot.done = this.messages.advance(slot.handle, progress);
  }

  /** The one span of memory for a direct call. */
  protected spanOf(off: Off, length: number): Span {
    const span = this.#span;
    span.address = this.arena.address + off;
    span.length = length;
    return span;
  }

  /** A slot for an operation on a live handle; null when the handle is not, and -EBADF follows. */
  protected start(operation: Operation, handle: Handle, kind: number): Slot | null {
    const index = this.#beginOn(operation, handle);
    return index < 0 ? null : this.#slotFor(operation, index, kind);
  }

  #beginOn(operation: Operation, handle: Handle): number {
    this.begin(operation);
    const index = this.handles.find(handle);
    if (index < 0) this.completions.push(operation, -Errno.EBADF);
    return index;
  }

  #slotFor(operation: Operation, index: number, kind: number): Slot {
    const slot = this.takeSlot(kind);
    slot.operation = operation;
    slot.handle = index;
    operation.ioSlot = slot.index;
    this.handles.underWay[index]!++;
    return slot;
  }

  protected takeSlot(kind: number): Slot {
    let slot = this.#free.shift();
    if (slot === null) {
      assert(this.slots.length < IO_OPERATIONS_MAX, "too many operations under way");
      slot = new Slot(this.slots.length);
      this.slots.push(slot);
    }
    slot.begin(kind);
    this.slotsInUse++;
    return slot;
  }

  protected claim(directions: Uint8Array, slot: Slot): void {
    assert(directions[slot.handle] === 0, ONE_OF_EACH);
    directions[slot.handle] = 1;
  }

  /** Queues the operation's result and gives the slot back. */
  protected finishSlot(slot: Slot, result: number): void {
    const operation = slot.operation!;
    const isSend = slot.kind === SlotKind.send || slot.kind === SlotKind.sendGathered;
    const outcome = this.#outcomeOf(slot, result);
    this.#giveSlotBack(slot);
    // A stream whose send has ended can take the next one before more is read for it.
    if (isSend) this.completions.pushFirst(operation, outcome);
    else this.completions.push(operation, outcome);
  }

  /** The transfer is done directly before its operation's `done`, by `copyNow`. */
  protected finishLate(slot: Slot): void {
    this.completions.pushLate(slot.operation!);
  }

  protected override performLate(operation: Operation): number {
    const slot = this.slots[operation.ioSlot]!;
    const outcome = this.#outcomeOf(slot, this.copyNow(slot));
    this.#readPreciseClock();
    this.#giveSlotBack(slot);
    return outcome;
  }

  /**
   * Linux says ENOSPC and EINVAL of what lies behind a block device's end. Of a device that was cut
   * short or taken out that says nothing to whoever asked within its bounds: it has failed.
   */
  #outcomeOf(slot: Slot, result: number): number {
    if (result !== -Errno.ENOSPC && result !== -Errno.EINVAL) return result;
    if (this.handles.kinds[slot.handle] !== HandleKind.block) return result;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const sizeBytes = Number(this.libc.call.lseek(fd, 0n, abi.SEEK_END));
    return slot.position + slot.length > sizeBytes ? -Errno.EIO : result;
  }

  /** The whole of a read or write of a medium: its length, or a negated errno. Blocks. */
  protected copyNow(slot: Slot): number {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const span = this.spanOf(slot.off, slot.length);
    span.position = slot.position;
    return slot.kind === SlotKind.read
      ? this.calls.readMedium(fd, span)
      : this.calls.writeMedium(fd, span);
  }

  /** Sends what is left when the socket takes it. */
  protected abstract sendRest(slot: Slot): void;

  #giveSlotBack(slot: Slot): void {
    const { kind, handle } = slot;
    if (kind === SlotKind.receive || kind === SlotKind.receiveExactly) {
      this.handles.receiving[handle] = 0;
    } else if (kind === SlotKind.send || kind === SlotKind.sendGathered) {
      this.handles.sending[handle] = 0;
    }
    slot.operation!.ioSlot = -1;
    slot.operation = null;
    slot.kind = SlotKind.free;
    this.#free.push(slot);
    this.slotsInUse--;
    this.ended(handle);
  }
}

/** Of the first `count` segments of a gathered send, in bytes. */
export function lengthOf(segments: Float64Array, count: number): number {
  let length = 0;
  for (let i = 0; i < count; i++) length += segments[2 * i + 1]!;
  return length;
}
