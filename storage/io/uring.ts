import { LOOK_BYTES_MAX } from "../../protocol/core/limits.ts";
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
import * as abi from "./abi.ts";
import { encodeInet, encodeUnix } from "./addresses.ts";
import { tcpSocket } from "./kernel_sockets.ts";
import type { Operation } from "./operation.ts";
import type { UringOptions } from "./uring_base.ts";
import { UringMachine } from "./uring_machine.ts";
import { SlotKind } from "./slot.ts";

const PUNCH = abi.FALLOC_PUNCH_HOLE | abi.FALLOC_KEEP_SIZE;
const ZERO_RANGE = abi.FALLOC_ZERO_RANGE | abi.FALLOC_KEEP_SIZE;

/**
 * The seam on io_uring: submissions gather in the ring, and one system call a turn hands them over
 * and brings the results. For one thread. This file is what callers see; what happens to an
 * operation until it ends is in uring_machine.ts.
 */
export class UringIo extends UringMachine implements Io {
  /** Throws DvsanError "unsupported" with the reason when io_uring is not to be had. */
  constructor(options: UringOptions) {
    super(options);
  }

  accept(operation: Operation, listener: Handle): void {
    const slot = this.start(operation, listener, SlotKind.accept);
    if (slot !== null) this.submit(slot);
  }

  connectTcp(operation: Operation, to: SocketAddress): void {
    this.begin(operation);
    const address = encodeInet(this.libc, to);
    if (address === null) return this.completions.push(operation, -Errno.EINVAL);
    const fd = tcpSocket(this.libc, { at: to, family: address.family, typeFlags: 0 });
    this.connect(operation, { address, fd });
  }

  connectUnix(operation: Operation, path: string): void {
    this.begin(operation);
    const address = encodeUnix(path);
    if (address === null) return this.completions.push(operation, -Errno.ENAMETOOLONG);
    const type = abi.SOCK_STREAM | abi.SOCK_CLOEXEC;
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
    this.submitReceive(slot);
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
    if (length >= LOOK_BYTES_MAX) this.movedMuch();
    slot.off = off;
    slot.length = length;
    slot.aside = aside;
    this.receiveNow(slot);
  }

  send(operation: Operation, handle: Handle, off: Off, length: number): void {
    const slot = this.start(operation, handle, SlotKind.send);
    if (slot === null) return;
    this.bringBack(off, length);
    this.claim(this.handles.sending, slot);
    slot.off = off;
    slot.length = length;
    this.submit(slot);
  }

  read(operation: Operation, handle: Handle, at: Transfer): void {
    const slot = this.start(operation, handle, SlotKind.read);
    if (slot !== null) this.transfer(slot, at);
  }

  write(operation: Operation, handle: Handle, at: Transfer, fua: boolean): void {
    const slot = this.start(operation, handle, SlotKind.write);
    if (slot === null) return;
    slot.flags = fua ? abi.RWF_DSYNC : 0;
    this.transfer(slot, at);
  }

  sync(operation: Operation, handle: Handle): void {
    const slot = this.start(operation, handle, SlotKind.sync);
    if (slot !== null) this.submit(slot);
  }

  discard(operation: Operation, handle: Handle, position: number, length: number): void {
    const slot = this.start(operation, handle, SlotKind.discard);
    if (slot === null) return;
    slot.position = position;
    slot.length = length;
    slot.flags = PUNCH;
    this.submit(slot);
  }

  zero(operation: Operation, handle: Handle, at: ZeroRange): void {
    const slot = this.start(operation, handle, SlotKind.zero);
    if (slot === null) return;
    slot.position = at.position;
    slot.length = at.length;
    slot.flags = at.mayDiscard ? PUNCH : ZERO_RANGE;
    slot.fast = at.fast;
    if (this.zeroIsSlow(slot)) this.finishSlot(slot, -Errno.EOPNOTSUPP);
    else this.submit(slot);
  }

  readAhead(operation: Operation, handle: Handle, position: number, length: number): void {
    this.#advise(operation, handle, { position, length, advice: abi.FADV_WILLNEED });
  }

  dropCache(operation: Operation, handle: Handle): void {
    // A length of zero: all of it.
    this.#advise(operation, handle, { position: 0, length: 0, advice: abi.FADV_DONTNEED });
  }

  #advise(
    operation: Operation,
    handle: Handle,
    about: { readonly position: number; readonly length: number; readonly advice: number },
  ): void {
    const slot = this.start(operation, handle, SlotKind.advise);
    if (slot === null) return;
    if (this.handles.kinds[slot.handle] === HandleKind.memory) return this.finishSlot(slot, 0);
    slot.position = about.position;
    slot.length = about.length;
    slot.flags = about.advice;
    this.submit(slot);
  }

  allocation(operation: Operation, handle: Handle, at: AllocationQuery): void {
    const slot = this.start(operation, handle, SlotKind.advise);
    if (slot === null) return;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    this.finishSlot(slot, writeRuns(this.libc, fd, { ...at, view: this.view }));
  }
}
