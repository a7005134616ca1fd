import { assert } from "../../protocol/core/assert.ts";
import { CONNECT_RETRY_MS } from "../../protocol/core/limits.ts";
import * as abi from "./abi.ts";
import type { RawAddress } from "./addresses.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import { connected, connectResult } from "./kernel_sockets.ts";
import { Operation } from "./operation.ts";
import { type Slot, SlotKind, SlotQueue } from "./slot.ts";
import { AsideIo } from "./aside_io.ts";

/**
 * How a connect goes on epoll. TCP's is parked until the socket can be written. A Unix socket's
 * ends at once, or finds the listener's backlog full, which no event reports to be free again: it
 * is asked for anew from time to time, so that it waits as it does on io_uring.
 */
export abstract class EpollConnects extends AsideIo {
  /** By handle: the send or connect that waits until the socket can be written. */
  protected readonly writers: (Slot | null)[] = [];
  /** Connects that found a full backlog, in order. */
  readonly #crowded = new SlotQueue();
  readonly #crowdedTimer = new Operation(() => this.#retry());

  protected connect(operation: Operation, socket: { address: RawAddress; fd: number }): void {
    if (socket.fd < 0) return this.completions.push(operation, socket.fd);
    const handle = this.opened(socket.fd, HandleKind.stream);
    operation.busy = false;
    const slot = this.start(operation, handle, SlotKind.connect);
    assert(slot !== null, "a fresh handle is live");
    this.messages.setSocketAddress(slot.handle, socket.address);
    slot.length = socket.address.length;
    slot.flags = socket.address.family;
    slot.position = handle;
    this.#try(slot);
  }

  /** The socket of a parked connect can be written. */
  protected connectReady(slot: Slot): void {
    const result = connectResult(this.libc, this.handles.fileDescriptors[slot.handle]!);
    if (result === -Errno.EINPROGRESS) this.writers[slot.handle] = slot;
    else this.#connected(slot, result);
  }

  /** A connect that is to be cancelled waits no more. */
  protected withdrawConnect(slot: Slot): void {
    this.#crowded.remove(slot);
  }

  protected abortConnect(index: number): void {
    const slot = this.#crowded.findHandle(index);
    if (slot === null) return;
    this.#crowded.remove(slot);
    this.finishSlot(slot, -Errno.ECANCELED);
  }

  #try(slot: Slot): void {
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const address = this.messages.socketAddress(slot.handle, slot.length);
    const result = this.libc.check(this.libc.call.connect(fd, address, slot.length));
    const again = result === -Errno.EINTR;
    if (slot.flags === abi.AF_UNIX) {
      if (!again && result !== -Errno.EAGAIN) return this.#connected(slot, result);
      this.#crowded.push(slot);
      if (!this.#crowdedTimer.busy) this.timer(this.#crowdedTimer, CONNECT_RETRY_MS);
    } else if (again || result === -Errno.EINPROGRESS) {
      // The kernel goes on with TCP's handshake also when the call was interrupted.
      this.writers[slot.handle] = slot;
    } else {
      this.#connected(slot, result);
    }
  }

  /** Each is tried once, in order; those that find no room yet wait for the timer again. */
  #retry(): void {
    const waiting: Slot[] = [];
    for (let slot = this.#crowded.shift(); slot !== null; slot = this.#crowded.shift()) {
      waiting.push(slot);
    }
    for (const slot of waiting) this.#try(slot);
  }

  #connected(slot: Slot, result: number): void {
    const handle = slot.position;
    const fd = this.handles.fileDescriptors[slot.handle]!;
    const refused = connected(this.libc, fd, result);
    this.finishSlot(slot, refused === 0 ? handle : refused);
    if (refused !== 0) this.close(handle);
  }
}
