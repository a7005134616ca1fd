import * as abi from "./abi.ts";
import { encodeInet, encodeUnix } from "./addresses.ts";
import { EpollMachine } from "./epoll_machine.ts";
import { HelperKind } from "./epoll_helper.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import {
  type AllocationQuery,
  type Handle,
  type Io,
  type Off,
  RECEIVE_BUFFER_BYTES,
  type SocketAddress,
  type Transfer,
  type ZeroRange,
} from "./io.ts";
import { writeRuns } from "./kernel_allocation.ts";
import { tcpSocket } from "./kernel_sockets.ts";
import type { Operation } from "./operation.ts";
import { type Slot, SlotKind } from "./slot.ts";

/**
 * The seam where io_uring is switched off: sockets by readiness, reads and writes of media by
 * direct calls (they block the loop), what may take long in a helper worker. A stream's calls are
 * tried at once, and again when epoll says that the descriptor is ready.
 */
export class EpollIo extends EpollMachine implements Io {
  accept(operation: Operation, listener: Handle): void {
    const slot = this.start(operation, listener, SlotKind.accept);
    if (slot !== null) this.attemptRead(slot);
  }

  connectTcp(operation: Operation, to: SocketAddress): void {
    this.begin(operation);
    const address = encodeInet(this.libc, to);
    if (address === null) return this.completions.push(operation, -Errno.EINVAL);
    const { family } = address;
    const fd = tcpSocket(this.libc, { at: to, family, typeFlags: abi.SOCK_NONBLOCK });
    this.connect(operation, { address, fd });
  }

  connectUnix(operation: Operation, path: string): void {
    this.begin(operation);
    const address = encodeUnix(path);
    if (address === null) return this.completions.push(operation, -Errno.ENAMETOOLONG);
    const type = abi.SOCK_STREAM | abi.SOCK_CLOEXEC | abi.SOCK_NONBLOCK;
    const fd = this.libc.check(this.libc.call.socket(abi.AF_UNIX, type, 0));
    this.connect(operation, { address, fd });
  }

  receive(
    operation: Operation,
    handle: Handle,
    lengthMax: number = RECEIVE_BUFFER_BYTES,
  ): void {
    const slot = this.start(operation, handle, SlotKind.receive);
    if (slot === null) return;
    this.claim(this.handles.receiving, slot);
    slot.length = lengthMax;
    this.attemptReceive(slot);
  }

  receiveExactly(
    operation: Operation,
    handle: Handle,
    off: Off,
    length: number,
    aside = false,
  ): void {
    const slot = this.start(operation, handle, SlotKind.receiveExactly);
    if (slot === null) return;
    this.claim(this.handles.receiving, slot);
    slot.off = off;
    slot.length = length;
    slot.aside = aside;
    this.attemptRead(slot);
  }

  send(operation: Operation, handle: Handle, off: Off, length: number): void {
    this.#segment[0] = off;
    this.#segment[1] = length;
    this.sendGathered(operation, handle, this.#segment, 1);
  }

  read(operation: Operation, handle: Handle, at: Transfer): void {
    const slot = this.start(operation, handle, SlotKind.read);
    if (slot === null) return;
    this.setTransfer(slot, at);
    this.finishLate(slot);
  }

  write(operation: Operation, handle: Handle, at: Transfer, fua: boolean): void {
    const slot = this.start(operation, handle, SlotKind.write);
    if (slot === null) return;
    this.setTransfer(slot, at);
    if (!fua) return this.finishLate(slot);
    const result = this.copyNow(slot);
    if (result < 0) return this.finishSlot(slot, result);
    // The write is in the page cache; the helper makes it durable without blocking the loop.
    slot.done = result;
    this.askHelper(slot, HelperKind.sync);
  }

  sync(operation: Operation, handle: Handle): void {
    const slot = this.start(operation, handle, SlotKind.sync);
    if (slot !== null) this.askHelper(slot, HelperKind.sync);
  }

  discard(operation: Operation, handle: Handle, position: number, length: number): void {
    const slot = this.start(operation, handle, SlotKind.discard);
    if (slot === null) return;
    slot.position = position;
    slot.length = length;
    this.askHelper(slot, HelperKind.discard);
  }

  zero(operation: Operation, handle: Handle, at: ZeroRange): void {
    const slot = this.start(operation, handle, SlotKind.zero);
    if (slot === null) return;
    slot.position = at.position;
    slot.length = at.length;
    if (at.fast) return this.#zeroFast(slot, at.mayDiscard);
    this.askHelper(slot, at.mayDiscard ? HelperKind.zeroMayDiscard : HelperKind.zero);
  }

  readAhead(operation: Operation, handle: Handle, position: number, length: number): void {
    const slot = this.start(operation, handle, SlotKind.advise);
    if (slot === null) return;
    if (this.handles.kinds[slot.handle] === HandleKind.memory) return this.finishSlot(slot, 0);
    slot.position = position;
    slot.length = length;
    this.askHelper(slot, HelperKind.readAhead);
  }

  dropCache(operation: Operation, handle: Handle): void {
    const slot = this.start(operation, handle, SlotKind.advise);
    if (slot === null) return;
    if (this.handles.kinds[slot.handle] === HandleKind.memory) return this.finishSlot(slot, 0);
    slot.position = 0;
    slot.length = 0;
    this.askHelper(slot, HelperKind.dropCache);
  }

  allocation(operation: Operation, handle: Handle, at: AllocationQuery): void {
    const slot = this.start(operation, handle, SlotKind.advise);
    if (slot === null) return;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    this.finishSlot(slot, writeRuns(this.libc, fd, { ...at, view: this.view }));
  }

  /** A block device's zeroing that must not leave a hole is written by the kernel. */
  #zeroFast(slot: Slot, mayDiscard: boolean): void {
    if (this.handles.kinds[slot.handle] !== HandleKind.block) {
      const kind = mayDiscard ? HelperKind.zeroFastMayDiscard : HelperKind.zeroFast;
      this.askHelper(slot, kind);
    } else if (mayDiscard) this.askHelper(slot, HelperKind.discard);
    else this.finishSlot(slot, -Errno.EOPNOTSUPP);
  }

  readonly #segment = new Float64Array(2);
}
