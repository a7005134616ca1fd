import {
  ASIDE_PAYLOAD_BYTES_MAX,
  ASIDE_PAYLOAD_BYTES_MIN,
  ASIDE_READ_BYTES_MIN,
  ASIDE_READ_WHOLE_BYTES_MAX,
} from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { type Aside, Asides, type AsideTransfer } from "./asides.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import type { Handle, Off } from "./io.ts";
import { type Slot, SlotKind } from "./slot.ts";
import { lengthOf, SlotIo, type SlotIoOptions } from "./slot_io.ts";
import { Trial } from "./trial.ts";

/**
 * Transfers of media that are done directly, and what of them need not come into the arena: of a
 * large READ of a file in memory the reply takes the file's pages along, where that is faster, and
 * a large payload that has come whole goes from the socket's pages into the file.
 */
export abstract class AsideIo extends SlotIo {
  protected readonly asides: Asides;
  readonly #transfer: AsideTransfer = { fd: -1, position: -1, length: 0, more: false };
  /** Their other way is to copy all: of READs that can stay aside whole, and of larger ones. */
  readonly #wholeTrial = new Trial(this);
  readonly #halfTrial = new Trial(this);

  constructor(options: SlotIoOptions) {
    super(options);
    this.asides = new Asides(this.libc, this.arena.address);
    this.buffers.released = (off, length) => this.#released(off, length);
  }

  isInMemory(handle: Handle): boolean {
    return this.handles.kinds[this.live(handle)] === HandleKind.memory;
  }

  isAside(off: Off): boolean {
    return this.asides.inUse > 0 && this.asides.within(off, 1) !== null;
  }

  protected override giveBack(): void {
    this.asides.close();
    super.giveBack();
  }

  #released(off: Off, length: number): void {
    if (this.asides.inUse === 0) return;
    const aside = this.asides.within(off, length);
    if (aside !== null) this.asides.end(aside);
  }

  /** What belongs into this range of the arena is there afterwards. */
  protected bringBack(off: Off, length: number): void {
    for (;;) {
      const aside = this.asides.inUse > 0 ? this.asides.within(off, length) : null;
      if (aside === null) return;
      this.asides.bringBack(aside);
    }
  }

  /** The whole transfer, or a negated errno. Blocks. */
  protected override copyNow(slot: Slot): number {
    const { off, length, position } = slot;
    const isRead = slot.kind === SlotKind.read;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    if (!isRead && this.asides.inUse > 0) {
      const aside = this.asides.within(off, length);
      if (aside?.off === off && aside.length === length) return this.#write(aside, slot, fd);
      this.bringBack(off, length);
    }
    const done = slot.aside ? this.#read(slot, fd) : 0;
    if (done === length) return length;
    const span = this.spanOf(off + done, length - done);
    span.position = position + done;
    const result = isRead ? this.calls.readMedium(fd, span) : this.calls.writeMedium(fd, span);
    if (result < 0) {
      this.#released(off, length);
      return result;
    }
    return length;
  }

  /** Takes the first pages aside; the count of their bytes, which may be 0. */
  #read(slot: Slot, fd: number): number {
    const { off, length, position } = slot;
    if (length < ASIDE_READ_BYTES_MIN || this.handles.kinds[slot.handle] !== HandleKind.memory) {
      return 0;
    }
    const isWhole = length <= ASIDE_READ_WHOLE_BYTES_MAX;
    const trial = isWhole ? this.#wholeTrial : this.#halfTrial;
    trial.did(length);
    if (trial.isOther || !this.calls.isData(fd, position)) return 0;
    const aside = this.asides.begin(off);
    if (aside === null) return 0;
    const transfer = this.#transfer;
    const count = isWhole ? length : pagesOfHalf(length);
    transfer.fd = fd;
    let result = 0;
    do {
      transfer.position = position + aside.length;
      transfer.length = count - aside.length;
      result = this.asides.fill(aside, transfer);
    } while ((result > 0 && aside.length < count) || result === -Errno.EINTR);
    const done = aside.length;
    if (done === 0) this.asides.end(aside);
    return done;
  }

  #write(aside: Aside, slot: Slot, fd: number): number {
    const transfer = this.#transfer;
    transfer.fd = fd;
    transfer.more = false;
    let result = 0;
    do {
      transfer.position = slot.position + slot.length - aside.length;
      transfer.length = aside.length;
      result = this.asides.empty(aside, transfer);
    } while ((result > 0 && aside.length > 0) || result === -Errno.EINTR);
    const isWhole = aside.length === 0;
    this.asides.end(aside);
    if (isWhole) return slot.length;
    return result === 0 ? -Errno.EIO : result;
  }

  /** Takes a payload aside that is there to its last byte; false when it is to be copied. */
  protected receiveAside(slot: Slot): boolean {
    const { off, length } = slot;
    if (length < ASIDE_PAYLOAD_BYTES_MIN || length > ASIDE_PAYLOAD_BYTES_MAX) return false;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    // So much can be taken without waiting for any of it, also where the socket would wait.
    if (this.calls.waiting(fd) < length) return false;
    const aside = this.asides.begin(off);
    if (aside === null) return false;
    const transfer = this.#transfer;
    transfer.fd = fd;
    transfer.position = -1;
    let result = 0;
    do {
      transfer.length = length - aside.length;
      result = this.asides.fill(aside, transfer);
    } while ((result > 0 && aside.length < length) || result === -Errno.EINTR);
    const done = aside.length;
    if (done === length) {
      this.finishSlot(slot, length);
      return true;
    }
    // The pipe has too few places for so many small pieces.
    this.asides.bringBack(aside);
    slot.done = done;
    return false;
  }

  protected override sendNow(index: number, segments: Float64Array, count: number): number {
    const aside = this.asides.inUse === 0 ? null : this.#lastAside(segments, count);
    if (aside === null) return super.sendNow(index, segments, count);
    return this.#sendAside(aside, index, segments, count);
  }

  /** What is aside of the last segment; what is of the others is brought back. */
  #lastAside(segments: Float64Array, count: number): Aside | null {
    for (let i = 0; i < count - 1; i++) this.bringBack(segments[2 * i]!, segments[2 * i + 1]!);
    const off = segments[2 * count - 2]!;
    const length = segments[2 * count - 1]!;
    const aside = this.asides.single(off, length);
    const isBehind = aside !== null && aside.off > off && aside.off + aside.length <= off + length;
    if (isBehind) return aside;
    this.bringBack(off, length);
    return null;
  }

  /** Sends what stands before the bytes aside, those, and what stands behind them. */
  #sendAside(aside: Aside, index: number, segments: Float64Array, count: number): number {
    const last = 2 * count - 1;
    const off = segments[last - 1]!;
    const length = segments[last]!;
    const fd = this.handles.fileDescriptors[index]!;
    const inAside = aside.length;
    const behind = off + length - aside.off - inAside;
    segments[last] = aside.off - off;
    const before = lengthOf(segments, count);
    let result = super.sendNow(index, segments, count, abi.MSG_MORE);
    segments[last] = length;
    let sent = Math.max(0, result);
    if (sent === before) {
      result = this.#pass(aside, fd, behind > 0);
      sent += inAside - aside.length;
    }
    const isWhole = sent === before + inAside;
    if (result < 0 && result !== -Errno.EAGAIN) this.asides.end(aside);
    else this.asides.bringBack(aside);
    if (isWhole && behind > 0) {
      result = this.calls.send(fd, this.spanOf(off + length - behind, behind));
      sent += Math.max(0, result);
    }
    return result < 0 && result !== -Errno.EAGAIN ? result : sent;
  }

  /** Lets the socket take of the pipe what it can without waiting: the last result. */
  #pass(aside: Aside, fd: number, more: boolean): number {
    const transfer = this.#transfer;
    transfer.fd = fd;
    transfer.position = -1;
    transfer.more = more;
    const waits = this.socketFlags === 0;
    if (waits) this.libc.call.fcntl(fd, abi.F_SETFL, abi.O_RDWR | abi.O_NONBLOCK);
    let result = 0;
    do {
      transfer.length = aside.length;
      result = this.asides.empty(aside, transfer);
    } while ((result > 0 && aside.length > 0) || result === -Errno.EINTR);
    if (waits) this.libc.call.fcntl(fd, abi.F_SETFL, abi.O_RDWR);
    return result;
  }
}

/** Whoever receives copies cold pages slower than we do: the work is shared with it. */
function pagesOfHalf(length: number): number {
  return Math.floor(length / (2 * abi.PAGE_BYTES)) * abi.PAGE_BYTES;
}
