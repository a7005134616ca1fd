import { assert } from "../../protocol/core/assert.ts";
import * as abi from "./abi.ts";
import type { RawAddress } from "./addresses.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import { type Off, RECEIVE_BUFFER_BYTES, type Transfer } from "./io.ts";
import type { Operation } from "./operation.ts";
import { UringBase, type UringOptions } from "./uring_base.ts";
import { type Slot, SlotKind, SlotQueue } from "./slot.ts";
import { accepted, connected } from "./kernel_sockets.ts";
import { LentBuffers } from "./uring_lent.ts";

const ZERO_RANGE = abi.FALLOC_ZERO_RANGE | abi.FALLOC_KEEP_SIZE;

/**
 * What happens to an operation between its submission and its end: what its results mean, what is
 * asked for again, and how receives wait for buffers.
 */
export abstract class UringMachine extends UringBase {
  /** Receives that found no buffer, in order. */
  readonly #hungry = new SlotQueue();
  readonly #buffers: LentBuffers;
  /** Receives of `#hungry` that are being tried again. */
  #retrying = 0;

  constructor(options: UringOptions) {
    super(options);
    this.#buffers = new LentBuffers(this.receiveBuffers, this.buffers.receiveCount);
    this.buffers.lendReceive((off) => {
      this.#buffers.put(off);
      this.#feed();
    });
  }

  protected cancelAt(index: number): void {
    const slot = this.slots[index]!;
    if (slot.kind >= SlotKind.read) return;
    slot.cancelled = true;
    if (slot.waiting) {
      this.#hungry.remove(slot);
      this.finishSlot(slot, -Errno.ECANCELED);
      return;
    }
    this.askToCancel(index);
  }

  protected slotCompleted(slot: Slot, result: number, flags: number): void {
    const again = result === -Errno.EINTR || result === -Errno.EAGAIN;
    switch (slot.kind) {
      case SlotKind.wake:
        this.woken = true;
        return this.submit(slot);
      case SlotKind.alarm:
        return this.alarmRang(result);
      case SlotKind.receive:
        return this.#received(slot, result, flags);
      case SlotKind.accept:
        if (again && !this.#stopped(slot)) return this.submit(slot);
        return this.#accepted(slot, result);
      case SlotKind.connect:
        return this.#connected(slot, result);
      default:
        // What a medium does runs to its end, also when its handle was closed.
        if (again && (slot.kind >= SlotKind.read || !this.#stopped(slot))) return this.submit(slot);
        return this.#progress(slot, result);
    }
  }

  #progress(slot: Slot, result: number): void {
    switch (slot.kind) {
      case SlotKind.receiveExactly:
      case SlotKind.read:
      case SlotKind.write:
      case SlotKind.send:
        return this.#transferred(slot, result);
      case SlotKind.sendGathered:
        return this.#sentGathered(slot, result);
      case SlotKind.zero:
        return this.#zeroed(slot, result);
      case SlotKind.zeroWrite:
        return this.#zeroesWritten(slot, result);
      case SlotKind.advise:
        return this.finishSlot(slot, 0);
      default:
        return this.finishSlot(slot, result);
    }
  }

  #stopped(slot: Slot): boolean {
    return slot.cancelled || this.handles.isDying(slot.handle);
  }

  protected submitReceive(slot: Slot): void {
    const isShort = slot.length < RECEIVE_BUFFER_BYTES;
    const off = isShort && this.#hungry.empty ? this.#buffers.take() : -1;
    if (off >= 0) this.#receiveAtOnce(slot, off);
    else this.#submitReceive(slot);
  }

  #submitReceive(slot: Slot): void {
    slot.asksFirst = this.#hungry.empty && this.gathering.bringsOne(slot.handle);
    if (this.#hungry.empty) return this.#ask(slot);
    slot.waiting = true;
    this.#hungry.push(slot);
    this.#feed();
  }

  #ask(slot: Slot): void {
    this.#buffers.asks();
    this.submit(slot);
  }

  /** Takes what has come without the ring, which would need one more system call. */
  #receiveAtOnce(slot: Slot, off: Off): void {
    const result = this.#receiveInto(slot, off, slot.length);
    if (result > 0) this.#chose(slot, off, result);
    else this.#buffers.put(off);
    if (result === -Errno.EAGAIN) this.#submitReceive(slot);
    else this.finishSlot(slot, result);
  }

  /** The same for a buffer of the caller's; the ring waits for what has not come. */
  protected receiveNow(slot: Slot): void {
    if (slot.aside && this.receiveAside(slot)) return;
    const { off, length, done } = slot;
    const result = this.#receiveInto(slot, off + done, length - done);
    if (result === -Errno.EAGAIN) this.submit(slot);
    else this.#transferred(slot, result);
  }

  #receiveInto(slot: Slot, off: Off, length: number): number {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    return this.calls.receive(fd, this.spanOf(off, length));
  }

  #chose(slot: Slot, off: Off, result: number): void {
    if (result === slot.length) this.gathering.filled();
    slot.operation!.off = off;
    this.buffers.chosen(off);
  }

  /** Starts a connect on a fresh socket, or ends the operation with the errno in `fd`. */
  protected connect(operation: Operation, socket: { address: RawAddress; fd: number }): void {
    if (socket.fd < 0) return this.completions.push(operation, socket.fd);
    const handle = this.opened(socket.fd, HandleKind.stream);
    operation.busy = false;
    const slot = this.start(operation, handle, SlotKind.connect);
    assert(slot !== null, "a fresh handle is live");
    this.messages.setSocketAddress(slot.handle, socket.address);
    slot.length = socket.address.length;
    slot.position = handle;
    this.submit(slot);
  }

  protected transfer(slot: Slot, at: Transfer): void {
    slot.off = at.off;
    slot.length = at.length;
    slot.position = at.position;
    // io_uring hands these to threads of its own, for want of a way to try without waiting. There
    // is nothing to wait for, and the hand-over costs more than the copying.
    const copies = this.handles.kinds[slot.handle] === HandleKind.memory && slot.flags === 0;
    slot.aside = copies && at.aside === true;
    if (copies) return this.finishLate(slot);
    if (slot.kind === SlotKind.write) this.bringBack(slot.off, slot.length);
    this.submit(slot);
  }

  protected sendRest(slot: Slot): void {
    this.submit(slot);
  }

  /** Tries waiting receives again, as many as there are buffers, without waiting for bytes. */
  #feed(): void {
    while (this.#retrying < this.#buffers.free) {
      const slot = this.#hungry.shift();
      if (slot === null) return;
      slot.waiting = false;
      slot.flags = abi.MSG_DONTWAIT;
      slot.asksFirst = false;
      this.#retrying++;
      this.#ask(slot);
    }
  }

  #received(slot: Slot, result: number, flags: number): void {
    const chose = (flags & abi.CQE_F_BUFFER) !== 0;
    const off = chose ? this.receiveBuffers.chosen(flags) : -1;
    this.#buffers.answered(chose);
    const retried = slot.flags !== 0;
    if (retried) this.#retrying--;
    slot.flags = 0;
    const stopped = this.#stopped(slot);
    if (result > 0) {
      this.#chose(slot, off, result);
      this.finishSlot(slot, result);
    } else {
      if (chose) this.#buffers.put(off);
      if (stopped) this.finishSlot(slot, result === 0 ? 0 : -Errno.ECANCELED);
      else if (result === -Errno.ENOBUFS) this.#hunger(slot, retried);
      else if (result === -Errno.EAGAIN || result === -Errno.EINTR) this.#ask(slot);
      else this.finishSlot(slot, result);
    }
    if (retried) this.#feed();
  }

  #hunger(slot: Slot, retried: boolean): void {
    slot.waiting = true;
    if (retried) this.#hungry.pushFront(slot);
    else this.#hungry.push(slot);
    this.#feed();
  }

  #accepted(slot: Slot, result: number): void {
    if (result >= 0 && this.handles.isDying(slot.handle)) {
      this.libc.call.close(result);
      this.finishSlot(slot, -Errno.ECANCELED);
    } else {
      this.finishSlot(slot, this.opened(accepted(this.libc, result), HandleKind.stream));
    }
  }

  #connected(slot: Slot, result: number): void {
    const handle = slot.position;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const refused = connected(this.libc, fd, result);
    if (refused === 0 && !slot.cancelled) return this.finishSlot(slot, handle);
    this.finishSlot(slot, slot.cancelled ? -Errno.ECANCELED : refused);
    this.close(handle);
  }

  #transferred(slot: Slot, result: number): void {
    const isMedium = slot.kind >= SlotKind.read;
    if (result < 0) return this.finishSlot(slot, result);
    slot.done += result;
    if (slot.done === slot.length) return this.finishSlot(slot, slot.length);
    if (result === 0) {
      // A medium that ends early is broken; a stream that ends has just ended.
      return this.finishSlot(slot, isMedium ? -Errno.EIO : slot.done);
    }
    if (!isMedium && this.#stopped(slot)) return this.finishSlot(slot, -Errno.ECANCELED);
    this.submit(slot);
  }

  #sentGathered(slot: Slot, result: number): void {
    if (result < 0) return this.finishSlot(slot, result);
    if (slot.position + result === slot.length) return this.finishSlot(slot, slot.length);
    assert(result > 0, "a send of something sends something");
    if (this.#stopped(slot)) return this.finishSlot(slot, -Errno.ECANCELED);
    this.sent(slot, result);
    this.submit(slot);
  }

  /** A block device's zeroing that must not leave a hole writes, in the kernel or here. */
  protected zeroIsSlow(slot: Slot): boolean {
    const isBlock = this.handles.kinds[slot.handle] === HandleKind.block;
    return slot.fast && slot.flags === ZERO_RANGE && isBlock;
  }

  #zeroed(slot: Slot, result: number): void {
    if (result !== -Errno.EOPNOTSUPP) return this.finishSlot(slot, result);
    const isLast = slot.flags === ZERO_RANGE;
    slot.flags = ZERO_RANGE;
    if (slot.fast && (isLast || this.zeroIsSlow(slot))) return this.finishSlot(slot, result);
    if (isLast) slot.kind = SlotKind.zeroWrite;
    this.submit(slot);
  }

  #zeroesWritten(slot: Slot, result: number): void {
    if (result <= 0) return this.finishSlot(slot, result === 0 ? -Errno.EIO : result);
    slot.done += result;
    if (slot.done === slot.length) this.finishSlot(slot, 0);
    else this.submit(slot);
  }
}
