import { assert } from "../../protocol/core/assert.ts";
import { IO_HANDLES_MAX } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import { EpollConnects } from "./epoll_connects.ts";
import { EpollSet, type EventSink } from "./epoll_set.ts";
import { HelperClient } from "./epoll_worker.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import type { ArenaOptions, Transfer } from "./io.ts";
import { accepted } from "./kernel_sockets.ts";
import type { Libc } from "./libc.ts";
import { type Slot, SlotKind, SlotQueue } from "./slot.ts";

/** What an event's data says where it is not a handle's index. */
const WAKE = 0xffff_fffe;
const HELPER = 0xffff_ffff;

/** What is known of a socket's receiving side. */
const Incoming = {
  /** Perhaps something has come. */
  unknown: 0,
  /** All was taken, since a receive was not filled (epoll(7)): epoll tells when more comes. */
  none: 1,
  /** The stream has ended or broken, and epoll need not tell again. */
  over: 2,
} as const;

export interface EpollOptions {
  readonly arena: ArenaOptions;
  /** The module of the helper worker; see HelperOptions. */
  readonly helperUrl?: string | undefined;
  readonly helperStartMsMax?: number | undefined;
  readonly libc?: Libc | undefined;
  readonly standsBetween?: boolean | undefined;
}

/**
 * What happens to an operation between its submission and its end: tried, parked on its handle
 * until epoll reports it ready, and tried again. Registration is edge-triggered and done once.
 */
export abstract class EpollMachine extends EpollConnects implements EventSink {
  readonly kind = "epoll";
  readonly #set: EpollSet;
  readonly #helperFd: number;
  readonly #helper: HelperClient;
  readonly #counter = new Uint8Array(8);
  readonly #readers: SlotQueue[] = [];
  /** Receives that found no buffer, in order. */
  readonly #hungry = new SlotQueue();
  #feeding = false;
  /** By handle. */
  readonly #incoming = new Uint8Array(IO_HANDLES_MAX);

  constructor(options: EpollOptions) {
    super({
      arena: options.arena,
      socketFlags: abi.SOCK_NONBLOCK,
      wakeFlags: abi.EFD_NONBLOCK,
      libc: options.libc,
      standsBetween: options.standsBetween,
    });
    this.#set = new EpollSet(this.libc);
    this.#helperFd = this.libc.call.eventfd(0, abi.EFD_CLOEXEC | abi.EFD_NONBLOCK);
    assert(this.#helperFd >= 0, "an eventfd can be made");
    this.#helper = new HelperClient({
      url: options.helperUrl ?? new URL("./epoll_helper_main.ts", import.meta.url).href,
      startMsMax: options.helperStartMsMax,
      eventFd: this.#helperFd,
      ended: (slot, result) => this.finishSlot(slot, result < 0 ? result : slot.done),
    });
    this.#set.watch(this.wakeFd, WAKE, abi.EPOLLIN);
    this.#set.watch(this.#helperFd, HELPER, abi.EPOLLIN);
    this.buffers.onReceiveFree = () => this.#feed();
  }

  /** Accepts, or fills the caller's buffer, now or when the descriptor is ready. */
  protected attemptRead(slot: Slot): void {
    const isVain = this.#incoming[slot.handle] === Incoming.none;
    if (isVain || !this.#tryRead(slot)) this.#readers[slot.handle]!.push(slot);
  }

  protected attemptReceive(slot: Slot): void {
    if (!this.#hungry.empty) return this.#starve(slot);
    this.attemptRead(slot);
  }

  protected sendRest(slot: Slot): void {
    if (!this.#tryWrite(slot)) this.writers[slot.handle] = slot;
  }

  protected setTransfer(slot: Slot, at: Transfer): void {
    slot.off = at.off;
    slot.length = at.length;
    slot.position = at.position;
    slot.aside = at.aside === true;
  }

  protected askHelper(slot: Slot, kind: number): void {
    slot.flags = kind;
    slot.off = this.handles.fileDescriptors[slot.handle]!;
    this.#helper.ask(slot, this.nowMs());
  }

  protected exchange(waits: boolean): void {
    if (waits) this.gather();
    const helper = this.#helper;
    const isStarting = helper.isStarting;
    const leftMs = isStarting ? helper.startLeftMs(this.nowMs()) : Infinity;
    this.#set.wait(waits ? Math.min(this.leftMs(), leftMs) : 0, this);
    this.readClock();
    if (isStarting) helper.checkStart(this.timeMs);
  }

  protected track(index: number): void {
    this.#readers[index] ??= new SlotQueue();
    this.writers[index] = null;
    this.#incoming[index] = Incoming.unknown;
    this.#set.watch(this.handles.fileDescriptors[index]!, index, abi.EPOLL_WATCHED);
  }

  protected forget(index: number): void {
    this.#set.forget(this.handles.fileDescriptors[index]!);
  }

  protected abort(index: number): void {
    const stopped = -Errno.ECANCELED;
    // Each end may close the handle when it is the last, so what is parked is taken off first.
    const writer = this.writers[index] ?? null;
    this.writers[index] = null;
    const readers = this.#readers[index]!;
    for (let slot = readers.shift(); slot !== null; slot = readers.shift()) {
      this.finishSlot(slot, stopped);
    }
    for (let slot = this.#hungry.findHandle(index); slot !== null;) {
      this.#hungry.remove(slot);
      this.finishSlot(slot, stopped);
      slot = this.#hungry.findHandle(index);
    }
    this.abortConnect(index);
    if (writer !== null) this.finishSlot(writer, stopped);
  }

  protected cancelAt(index: number): void {
    const slot = this.slots[index]!;
    if (slot.kind >= SlotKind.read) return;
    this.#hungry.remove(slot);
    this.withdrawConnect(slot);
    this.#readers[slot.handle]!.remove(slot);
    if (this.writers[slot.handle] === slot) this.writers[slot.handle] = null;
    const { kind, position } = slot;
    this.finishSlot(slot, -Errno.ECANCELED);
    if (kind === SlotKind.connect) this.close(position);
  }

  protected finish(): void {
    this.#helper.finish();
    this.#set.close();
    this.libc.call.close(this.#helperFd);
  }

  ready(data: number, events: number): void {
    if (data === WAKE || data === HELPER) {
      this.libc.call.read(data === WAKE ? this.wakeFd : this.#helperFd, this.#counter, 8n);
      if (data === WAKE) this.woken = true;
      else this.#helper.reap();
      return;
    }
    if ((events & abi.EPOLL_READABLE) !== 0) {
      const isOver = (events & abi.EPOLL_OVER) !== 0 || this.#incoming[data] === Incoming.over;
      this.#incoming[data] = isOver ? Incoming.over : Incoming.unknown;
      const readers = this.#readers[data]!;
      for (let slot = readers.shift(); slot !== null; slot = readers.shift()) {
        if (this.#tryRead(slot)) continue;
        readers.pushFront(slot);
        break;
      }
    }
    const writer = this.writers[data] ?? null;
    if (writer === null || (events & abi.EPOLL_WRITABLE) === 0) return;
    this.writers[data] = null;
    if (writer.kind === SlotKind.connect) this.connectReady(writer);
    else this.sendRest(writer);
  }

  #starve(slot: Slot): void {
    slot.waiting = true;
    this.#hungry.push(slot);
  }

  /** Receives that wait for a buffer try again, in order, while there is one. */
  #feed(): void {
    if (this.#feeding) return;
    this.#feeding = true;
    for (let slot = this.#hungry.shift(); slot !== null; slot = this.#hungry.shift()) {
      slot.waiting = false;
      const off = this.buffers.takeReceive();
      if (off < 0) {
        slot.waiting = true;
        this.#hungry.pushFront(slot);
        break;
      }
      if (!this.#receiveInto(slot, off)) this.#readers[slot.handle]!.push(slot);
    }
    this.#feeding = false;
  }

  /** False when the descriptor is not ready. */
  #tryRead(slot: Slot): boolean {
    if (slot.kind === SlotKind.accept) return this.#tryAccept(slot);
    if (slot.kind === SlotKind.receiveExactly) return this.#tryExactly(slot);
    const off = this.buffers.takeReceive();
    if (off >= 0) return this.#receiveInto(slot, off);
    this.#starve(slot);
    return true;
  }

  #receiveInto(slot: Slot, off: number): boolean {
    const result = this.#receive(slot, off, slot.length);
    if (result > 0) slot.operation!.off = off;
    else this.buffers.release(off);
    if (wouldBlock(result)) return false;
    this.finishSlot(slot, result);
    return true;
  }

  #tryExactly(slot: Slot): boolean {
    if (slot.aside && slot.done === 0 && this.receiveAside(slot)) return true;
    slot.aside = false;
    while (slot.done < slot.length) {
      const result = this.#receive(slot, slot.off + slot.done, slot.length - slot.done);
      if (wouldBlock(result)) return false;
      if (result <= 0) {
        this.finishSlot(slot, result === 0 ? slot.done : result);
        return true;
      }
      slot.done += result;
    }
    this.finishSlot(slot, slot.done);
    return true;
  }

  #receive(slot: Slot, off: number, length: number): number {
    const { handle } = slot;
    const fd = this.handles.fileDescriptors[handle]!;
    const result = this.calls.receive(fd, this.spanOf(off, length));
    const isAll = result > 0 && result < length && this.#incoming[handle] !== Incoming.over;
    if (isAll) this.#incoming[handle] = Incoming.none;
    return result;
  }

  #tryAccept(slot: Slot): boolean {
    const flags = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;
    const result = this.calls.accept(this.handles.fileDescriptors[slot.handle]!, flags);
    if (wouldBlock(result)) return false;
    this.finishSlot(slot, this.opened(accepted(this.libc, result), HandleKind.stream));
    return true;
  }

  #tryWrite(slot: Slot): boolean {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const message = this.messages.pointerOf(slot.handle);
    for (;;) {
      const result = this.calls.sendMessage(fd, message);
      if (wouldBlock(result)) return false;
      if (result < 0 || slot.position + result === slot.length) {
        this.finishSlot(slot, result < 0 ? result : slot.length);
        return true;
      }
      this.sent(slot, result);
    }
  }
}

/** A result that says: try again when the descriptor is ready. */
function wouldBlock(result: number): boolean {
  return result === -Errno.EAGAIN;
}
