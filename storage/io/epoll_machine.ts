import { assert } from "../../protocol/core/assert.ts";
import * as abi from "./abi.ts";
import type { RawAddress } from "./addresses.ts";
import { MappedMemory } from "./arena.ts";
import { HelperClient, wouldBlock } from "./epoll_worker.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import { type ArenaOptions, RECEIVE_BUFFER_BYTES, type Transfer } from "./io.ts";
import { connectResult, receiveNow } from "./kernel_sockets.ts";
import { SlotIo } from "./slot_io.ts";
import type { Operation } from "./operation.ts";
import { type Slot, SlotKind, SlotQueue } from "./slot.ts";

const EVENTS_MAX = 256;
/** What an event's data says where it is not a handle's index. */
const WAKE = 0xffff_fffe;
const HELPER = 0xffff_ffff;

/**
 * What happens to an operation between its submission and its end: tried, parked on its handle
 * until epoll reports it ready, and tried again. Registration is edge-triggered and done once.
 */
export abstract class EpollMachine extends SlotIo {
  readonly kind = "epoll";
  readonly #epollFd: number;
  readonly #helperFd: number;
  readonly #helper: HelperClient;
  readonly #events: MappedMemory;
  readonly #layout = abi.epollEventLayout(Deno.build.arch);
  readonly #counter = new Uint8Array(8);
  readonly #readers: SlotQueue[] = [];
  readonly #writers: (Slot | null)[] = [];
  /** Receives that found no buffer, in order. */
  readonly #hungry = new SlotQueue();
  #feeding = false;

  constructor(options: { arena: ArenaOptions; helperUrl?: string }) {
    super({
      arena: options.arena,
      socketFlags: abi.SOCK_NONBLOCK,
      wakeFlags: abi.EFD_NONBLOCK,
    });
    this.#epollFd = this.libc.call.epoll_create1(abi.O_CLOEXEC);
    this.#helperFd = this.libc.call.eventfd(0, abi.EFD_CLOEXEC | abi.EFD_NONBLOCK);
    assert(this.#epollFd >= 0 && this.#helperFd >= 0, "an epoll and an eventfd can be made");
    const url = options.helperUrl ?? new URL("./epoll_helper_main.ts", import.meta.url).href;
    this.#helper = new HelperClient({ url, eventFd: this.#helperFd });
    this.#events = new MappedMemory(this.libc, EVENTS_MAX * this.#layout.bytes);
    this.#watch(this.wakeFd, WAKE, abi.EPOLLIN);
    this.#watch(this.#helperFd, HELPER, abi.EPOLLIN);
    this.buffers.onReceiveFree = () => this.#feed();
  }

  protected connect(operation: Operation, socket: { address: RawAddress; fd: number }): void {
    if (socket.fd < 0) return this.completions.push(operation, socket.fd);
    const handle = this.opened(socket.fd, HandleKind.stream);
    operation.busy = false;
    const slot = this.start(operation, handle, SlotKind.connect);
    assert(slot !== null, "a fresh handle is live");
    slot.position = handle;
    const { bytes, length } = socket.address;
    const result = this.libc.check(this.libc.call.connect(socket.fd, bytes, length));
    if (result === -Errno.EINPROGRESS || result === -Errno.EINTR) this.#writers[slot.handle] = slot;
    else this.#connected(slot, result);
  }

  /** Accepts, or fills the caller's buffer, now or when the descriptor is ready. */
  protected attemptRead(slot: Slot): void {
    if (!this.#tryRead(slot)) this.#readers[slot.handle]!.push(slot);
  }

  protected attemptReceive(slot: Slot): void {
    if (!this.#hungry.empty) return this.#starve(slot);
    this.attemptRead(slot);
  }

  protected attemptWrite(slot: Slot): void {
    if (!this.#tryWrite(slot)) this.#writers[slot.handle] = slot;
  }

  /** The whole transfer, or a negated errno. Blocks. */
  protected transfer(slot: Slot, at: Transfer): number {
    const call = slot.kind === SlotKind.read ? this.libc.call.pread : this.libc.call.pwrite;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const base = this.arena.address + at.off;
    for (let done = 0; done < at.length;) {
      const count = BigInt(at.length - done);
      const result = this.libc.check(
        call(fd, BigInt(base + done), count, BigInt(at.position + done)),
      );
      if (result === -Errno.EINTR) continue;
      if (result <= 0) return result === 0 ? -Errno.EIO : result;
      done += result;
    }
    return at.length;
  }

  protected askHelper(slot: Slot, kind: number): void {
    slot.flags = kind;
    slot.off = this.handles.fileDescriptors[slot.handle]!;
    this.#helper.ask(slot);
  }

  protected exchange(waitMs: number): void {
    const timeout = waitMs === Infinity ? -1 : Math.min(Math.ceil(waitMs), 2 ** 31 - 1);
    const { call } = this.libc;
    const count = call.epoll_wait(this.#epollFd, this.#events.pointer, EVENTS_MAX, timeout);
    const { bytes, dataAt } = this.#layout;
    for (let i = 0; i < count; i++) {
      const events = this.#events.view.getUint32(i * bytes, true);
      this.#dispatch(this.#events.view.getUint32(i * bytes + dataAt, true), events);
    }
  }

  protected track(index: number): void {
    this.#readers[index] ??= new SlotQueue();
    this.#writers[index] = null;
    this.#watch(this.handles.fileDescriptors[index]!, index, abi.EPOLL_WATCHED);
  }

  protected forget(index: number): void {
    const fd = this.handles.fileDescriptors[index]!;
    this.libc.call.epoll_ctl(this.#epollFd, abi.EPOLL_CTL_DEL, fd, new Uint8Array(16));
  }

  protected abort(index: number): void {
    const stopped = -Errno.ECANCELED;
    // Each end may close the handle when it is the last, so what is parked is taken off first.
    const writer = this.#writers[index] ?? null;
    this.#writers[index] = null;
    const readers = this.#readers[index]!;
    for (let slot = readers.shift(); slot !== null; slot = readers.shift()) {
      this.finishSlot(slot, stopped);
    }
    for (let slot = this.#hungry.findHandle(index); slot !== null;) {
      this.#hungry.remove(slot);
      this.finishSlot(slot, stopped);
      slot = this.#hungry.findHandle(index);
    }
    if (writer !== null) this.finishSlot(writer, stopped);
  }

  protected cancelAt(index: number): void {
    const slot = this.slots[index]!;
    if (slot.kind >= SlotKind.read) return;
    this.#hungry.remove(slot);
    this.#readers[slot.handle]!.remove(slot);
    if (this.#writers[slot.handle] === slot) this.#writers[slot.handle] = null;
    const { kind, position } = slot;
    this.finishSlot(slot, -Errno.ECANCELED);
    if (kind === SlotKind.connect) this.close(position);
  }

  protected finish(): void {
    this.#helper.finish();
    this.libc.call.close(this.#epollFd);
    this.libc.call.close(this.#helperFd);
    this.messages.close();
    this.#events.discard();
  }

  #watch(fd: number, data: number, events: number): void {
    const event = new Uint8Array(16);
    const view = new DataView(event.buffer);
    view.setUint32(0, events, true);
    view.setUint32(this.#layout.dataAt, data, true);
    this.libc.call.epoll_ctl(this.#epollFd, abi.EPOLL_CTL_ADD, fd, event);
  }

  #dispatch(data: number, events: number): void {
    if (data === WAKE || data === HELPER) {
      this.libc.call.read(data === WAKE ? this.wakeFd : this.#helperFd, this.#counter, 8n);
      if (data === WAKE) this.woken = true;
      else this.#helper.reap((slot, result) => this.#helped(slot, result));
      return;
    }
    if ((events & abi.EPOLL_READABLE) !== 0) {
      const readers = this.#readers[data]!;
      for (let slot = readers.shift(); slot !== null; slot = readers.shift()) {
        if (this.#tryRead(slot)) continue;
        readers.pushFront(slot);
        break;
      }
    }
    const writer = this.#writers[data] ?? null;
    if (writer === null || (events & abi.EPOLL_WRITABLE) === 0) return;
    this.#writers[data] = null;
    if (writer.kind === SlotKind.connect) this.#checkConnect(writer);
    else this.attemptWrite(writer);
  }

  #helped(slot: Slot, result: number): void {
    this.finishSlot(slot, result < 0 ? result : slot.done);
  }

  #checkConnect(slot: Slot): void {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const result = connectResult(this.libc, fd);
    if (result === -Errno.EINPROGRESS) this.#writers[slot.handle] = slot;
    else this.#connected(slot, result);
  }

  #connected(slot: Slot, result: number): void {
    const handle = slot.position;
    this.finishSlot(slot, result === 0 ? handle : result);
    if (result !== 0) this.close(handle);
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
    const result = this.#recv(slot, { off, length: RECEIVE_BUFFER_BYTES });
    if (result > 0) slot.operation!.off = off;
    else this.buffers.release(off);
    if (wouldBlock(result)) return false;
    this.finishSlot(slot, result);
    return true;
  }

  #tryExactly(slot: Slot): boolean {
    while (slot.done < slot.length) {
      const place = { off: slot.off + slot.done, length: slot.length - slot.done };
      const result = this.#recv(slot, place);
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

  #recv(slot: Slot, place: { off: number; length: number }): number {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const { off, length } = place;
    return receiveNow(this.libc, fd, { address: this.arena.address + off, length });
  }

  #tryAccept(slot: Slot): boolean {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const flags = abi.SOCK_NONBLOCK | abi.SOCK_CLOEXEC;
    for (;;) {
      const result = this.libc.check(this.libc.call.accept4(fd, null, null, flags));
      if (wouldBlock(result)) return false;
      if (result === -Errno.EINTR || result === -Errno.ECONNABORTED) continue;
      this.finishSlot(slot, this.opened(result, HandleKind.stream));
      return true;
    }
  }

  #tryWrite(slot: Slot): boolean {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const message = BigInt(this.messages.addressOf(slot.handle));
    for (;;) {
      const result = this.libc.check(this.libc.call.sendmsg(fd, message, abi.MSG_NOSIGNAL));
      if (result === -Errno.EINTR) continue;
      if (wouldBlock(result)) return false;
      if (result > 0) slot.position += result;
      if (result < 0 || slot.position === slot.length) {
        this.finishSlot(slot, result < 0 ? result : slot.length);
        return true;
      }
      const progress = { first: slot.done, used: slot.segments, sent: result };
      slot.done = this.messages.advance(slot.handle, progress);
    }
  }
}
