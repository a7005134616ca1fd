import { assert } from "../../protocol/core/assert.ts";
import * as abi from "./abi.ts";
import { MappedMemory } from "./arena.ts";
import { ArenaBuffers } from "./buffers.ts";
import { Completions } from "./completions.ts";
import { Errno } from "./errno.ts";
import { HandleKind, HandleTable } from "./handles.ts";
import type * as io from "./io.ts";
import { KernelClock } from "./kernel_clock.ts";
import { mediumGeometry, openMediumFile, unlockMedium } from "./kernel_files.ts";
import { mediumIdentity } from "./kernel_identity.ts";
import * as sockets from "./kernel_sockets.ts";
import { Libc } from "./libc.ts";
import type { Operation } from "./operation.ts";
import { TimerHeap } from "./timers.ts";

export interface KernelIoOptions {
  readonly arena: io.ArenaOptions;
  /** SOCK_NONBLOCK where the descriptors must not block, else 0. */
  readonly socketFlags: number;
  /** EFD_NONBLOCK, or 0. */
  readonly wakeFlags: number;
  /** Closed with the Io. One of its own when not given. */
  readonly libc?: Libc | undefined;
}

/**
 * What uring and epoll share: the arena, handles and how they close, timers, the clock, and every
 * call that is cold and synchronous. The rest is theirs.
 */
export abstract class KernelIo {
  abstract readonly kind: "uring" | "epoll";
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly buffers: ArenaBuffers;
  readonly wakeFd: number;
  protected readonly libc: Libc;
  protected readonly arena: MappedMemory;
  protected readonly handles = new HandleTable();
  protected readonly timers = new TimerHeap();
  protected readonly completions = new Completions((operation) => this.performLate(operation));
  protected woken = false;
  #wake: (() => void) | null = null;
  protected readonly socketFlags: number;
  #dead = false;
  /** What the clock said last. */
  timeMs = 0;
  preciseMs = 0;
  /** When the turn's wait ends at the latest; a field, since a fraction is not to be answered. */
  protected untilMs = 0;
  protected readonly clock: KernelClock;

  constructor(options: KernelIoOptions) {
    this.libc = options.libc ?? new Libc();
    this.socketFlags = options.socketFlags;
    this.buffers = new ArenaBuffers(options.arena);
    this.arena = new MappedMemory(this.libc, this.buffers.sizeBytes);
    this.bytes = this.arena.bytes;
    this.view = this.arena.view;
    this.clock = new KernelClock(this.libc);
    this.wakeFd = this.libc.call.eventfd(0, abi.EFD_CLOEXEC | options.wakeFlags);
    assert(this.wakeFd >= 0, "an eventfd can be made");
    this.readClock();
  }

  nowMs(): number {
    return this.timeMs;
  }

  protected readClock(): void {
    this.clock.read();
    this.preciseMs = this.timeMs = this.clock.timeMs;
  }

  /** How much of the turn's wait is left by now: 0 or more, maybe Infinity. */
  protected leftMs(): number {
    if (this.untilMs === Infinity) return Infinity;
    this.readClock();
    return Math.max(0, this.untilMs - this.timeMs);
  }

  listenTcp(at: io.SocketAddress, options: { backlog: number }): io.Handle {
    const { backlog } = options;
    const typeFlags = this.socketFlags;
    return this.opened(
      sockets.listenTcpSocket(this.libc, { at, backlog, typeFlags }),
      HandleKind.listener,
    );
  }

  listenUnix(path: string, options: { backlog: number }): io.Handle {
    const { backlog } = options;
    const typeFlags = this.socketFlags;
    const fd = sockets.listenUnixSocket(this.libc, { path, backlog, typeFlags });
    const handle = this.opened(fd, HandleKind.listener);
    if (handle > 0) this.handles.paths[this.handles.find(handle)] = path;
    return handle;
  }

  localAddress(handle: io.Handle): io.SocketAddress {
    const index = this.live(handle);
    const path = this.handles.paths[index]!;
    if (path !== "") return { address: path, port: 0 };
    return sockets.addressOfSocket(this.libc, this.handles.fileDescriptors[index]!, "local");
  }

  peerAddress(handle: io.Handle): io.SocketAddress {
    const fd = this.handles.fileDescriptors[this.live(handle)]!;
    return sockets.addressOfSocket(this.libc, fd, "peer");
  }

  openMedium(options: io.MediumOpenOptions): io.Handle {
    const opened = openMediumFile(this.libc, {
      ...options,
      directDevices: this.kind === "uring",
    });
    if (typeof opened === "number") return opened;
    return this.handles.open(opened.fileDescriptor, HandleKind[opened.kind]);
  }

  geometry(handle: io.Handle): io.MediumGeometry {
    return mediumGeometry(this.libc, this.handles.fileDescriptors[this.live(handle)]!);
  }

  identity(handle: io.Handle): string | null {
    return mediumIdentity(this.libc, this.handles.fileDescriptors[this.live(handle)]!);
  }

  socketPair(): [io.Handle, io.Handle] {
    const pair = new Int32Array(2);
    const type = abi.SOCK_STREAM | abi.SOCK_CLOEXEC | this.socketFlags;
    const result = this.libc.check(this.libc.call.socketpair(abi.AF_UNIX, type, 0, pair));
    if (result < 0) return [result, result];
    return [
      this.opened(pair[0]!, HandleKind.stream),
      this.opened(pair[1]!, HandleKind.stream),
    ];
  }

  adopt(fileDescriptor: number): io.Handle {
    sockets.setNonblocking(this.libc, fileDescriptor, this.socketFlags !== 0);
    return this.opened(fileDescriptor, HandleKind.stream);
  }

  detach(handle: io.Handle): number {
    const index = this.live(handle);
    assert(this.handles.underWay[index] === 0, "no operation is under way on what is detached");
    const fd = this.handles.fileDescriptors[index]!;
    this.forget(index);
    // Whoever takes it over, an event loop, expects a descriptor that does not block.
    sockets.setNonblocking(this.libc, fd, true);
    this.handles.kill(index);
    this.handles.free(index);
    return fd;
  }

  shutdown(handle: io.Handle): number {
    const index = this.handles.find(handle);
    return index < 0 ? -Errno.EBADF : this.#shutdownAt(index);
  }

  close(handle: io.Handle): void {
    const index = this.handles.find(handle);
    if (index < 0) return;
    this.handles.kill(index);
    if (this.handles.underWay[index] === 0) {
      this.#closeAt(index);
    } else if (this.handles.kinds[index]! <= HandleKind.listener) {
      this.#shutdownAt(index);
      this.abort(index);
    }
  }

  timer(operation: Operation, delayMs: number): void {
    this.begin(operation);
    this.readClock();
    this.timers.add(operation, this.timeMs + delayMs);
  }

  cancel(operation: Operation): void {
    if (!operation.busy || operation.ioSlot < 0) return;
    if (this.timers.has(operation)) {
      this.timers.remove(operation);
      this.completions.push(operation, -Errno.ECANCELED);
    } else {
      this.cancelAt(operation.ioSlot);
    }
  }

  onWake(run: () => void): void {
    this.#wake = run;
  }

  atTurnEnd(task: io.TurnTask): void {
    this.completions.addTask(task);
  }

  turn(maxWaitMs: number): void {
    assert(!this.#dead, "an Io that was destroyed is not used");
    let waits = maxWaitMs > 0;
    if (this.completions.pending) {
      this.completions.runTasks();
      waits = false;
    }
    // From when the clock was read last: the turn itself is part of the wait.
    this.untilMs = Math.min(this.timeMs + maxWaitMs, this.timers.nextMs);
    this.exchange(waits && this.untilMs > this.timeMs);
    for (;;) {
      const due = this.timers.takeDue(this.timeMs);
      if (due === null) break;
      this.completions.push(due, 0);
    }
    if (this.woken) {
      this.woken = false;
      this.#wake?.();
    }
    this.completions.run();
  }

  destroy(): void {
    if (this.#dead) return;
    this.#dead = true;
    for (let index = 0; index < this.handles.top; index++) {
      if (this.handles.fileDescriptors[index]! < 0) continue;
      if (this.handles.kinds[index]! > HandleKind.listener) continue;
      this.#shutdownAt(index);
      if (this.handles.underWay[index]! > 0) this.abort(index);
    }
    this.completions.performAll();
    this.finish();
    this.giveBack();
  }

  /** Closes every descriptor and gives the memory back; also after a constructor that failed. */
  protected giveBack(): void {
    for (let index = 0; index < this.handles.top; index++) {
      if (this.handles.fileDescriptors[index]! >= 0) this.#closeAt(index);
    }
    this.libc.call.close(this.wakeFd);
    this.arena.discard();
    this.clock.discard();
    this.libc.close();
  }

  /** Marks `operation` as under way; every submission starts with it. */
  protected begin(operation: Operation): void {
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    operation.off = -1;
    operation.ioSlot = -1;
  }

  /** An operation on the handle at `index` has ended; closes what waited for it. */
  protected ended(index: number): void {
    this.handles.underWay[index]!--;
    if (this.handles.underWay[index] === 0 && this.handles.isDying(index)) this.#closeAt(index);
  }

  protected live(handle: io.Handle): number {
    const index = this.handles.find(handle);
    assert(index >= 0, "a closed handle has no address, size or descriptor");
    return index;
  }

  /** Takes a descriptor in, or answers the errno that is in its place. */
  protected opened(fd: number, kind: number): io.Handle {
    if (fd < 0) return fd;
    const handle = this.handles.open(fd, kind);
    this.track(this.handles.find(handle));
    return handle;
  }

  #shutdownAt(index: number): number {
    const fd = this.handles.fileDescriptors[index]!;
    return this.libc.check(this.libc.call.shutdown(fd, abi.SHUT_RDWR));
  }

  #closeAt(index: number): void {
    const fd = this.handles.fileDescriptors[index]!;
    if (this.handles.kinds[index]! > HandleKind.listener) unlockMedium(this.libc, fd);
    this.libc.call.close(fd);
    this.handles.free(index);
  }

  /** A socket was opened at `index`, or is to be forgotten without closing it. */
  protected abstract track(index: number): void;
  protected abstract forget(index: number): void;
  /** Asks every socket operation of the handle at `index` to end. */
  protected abstract abort(index: number): void;
  /** Asks the operation in `slot` to end, unless it is a medium's. */
  protected abstract cancelAt(slot: number): void;
  /** Does the work of an operation that was queued as late. */
  protected abstract performLate(operation: Operation): number;
  /** Submits, waits until `untilMs` if it `waits`, reads the clock, and queues what is done. */
  protected abstract exchange(waits: boolean): void;
  /** Waits for everything under way and gives the adapter's own resources back. */
  protected abstract finish(): void;
}
