import { assert } from "../../protocol/core/assert.ts";
import { ArenaBuffers } from "./buffers.ts";
import { Errno } from "./errno.ts";
import { HandleKind, HandleTable } from "./handles.ts";
import type * as io from "./io.ts";
import type { Operation } from "./operation.ts";
import { type SimIoOptions, SimLife } from "./sim_life.ts";
import { SimMediaCalls } from "./sim_media_calls.ts";
import { SimMedium } from "./sim_medium.ts";
import { type Finish, SimListener, SimStream, streamPair } from "./sim_stream.ts";
import { type SimResident, tcpKey, unixKey } from "./sim_world.ts";

/** An operation under way on a handle; media operations cannot be cancelled. */
export interface SimPending {
  readonly index: number;
  cancel: (() => void) | null;
}

export type SimObject = SimStream | SimListener | SimMedium;
export const NOWHERE: io.SocketAddress = { address: "", port: 0 };
/** What a dead process is told about its media: nobody acts on it. */
const NO_GEOMETRY: io.MediumGeometry = {
  kind: "file",
  sizeBytes: 0,
  logicalBlockBytes: 512,
  physicalBlockBytes: 4096,
};

/** What of the simulated seam is synchronous: handles, addresses, opening and closing. */
export abstract class SimBase extends SimLife implements SimResident {
  readonly kind = "sim";
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly buffers: ArenaBuffers;
  readonly wakeFd = -1;
  protected readonly handles = new HandleTable();
  protected readonly objects: (SimObject | null)[] = [];
  readonly #readOnly = new Set<number>();
  readonly #exclusive = new Set<number>();
  protected readonly mediaCalls: SimMediaCalls | null;
  /** Operations under way on handles. */
  protected readonly pending = new Map<Operation, SimPending>();

  constructor(options: SimIoOptions) {
    super(options);
    const { world, place } = this;
    this.mediaCalls = world.schedule === null ? null : new SimMediaCalls(world, place!.process);
    this.buffers = new ArenaBuffers(options.arena);
    this.bytes = new Uint8Array(this.buffers.sizeBytes);
    this.view = new DataView(this.bytes.buffer);
    if (world.schedule !== null) this.buffers.onReceiveFree = () => this.ready();
    world.residents.add(this);
  }

  /**
   * Its process is killed: its operations never end, and what it calls from now on does nothing.
   * The kernel closes its connections, or with `power` there is no kernel any more.
   */
  die({ power }: { power: boolean }): void {
    if (this.isDead) return;
    this.silence();
    this.world.residents.delete(this);
    this.mediaCalls?.die();
    for (const { cancel } of [...this.pending.values()]) cancel?.();
    this.pending.clear();
    this.closeAll(power);
  }

  crash(): void {
    this.die({ power: false });
  }

  /** Breaks a connection as a reset would: both ends get -ECONNRESET. */
  reset(handle: io.Handle): void {
    this.stream(handle)?.shutdown(-Errno.ECONNRESET);
  }

  listenTcp(at: io.SocketAddress, _options: { backlog: number }): io.Handle {
    if (this.isDead) return -Errno.EBADF;
    const port = at.port === 0 ? this.world.freshPort() : at.port;
    const address = { address: at.address, port };
    const key = tcpKey(address, this.machine);
    if (this.world.listeners.has(key)) return -Errno.EADDRINUSE;
    return this.#listen(address, key);
  }

  listenUnix(path: string, _options: { backlog: number }): io.Handle {
    if (this.isDead) return -Errno.EBADF;
    return this.#listen({ address: path, port: 0 }, unixKey(path, this.machine));
  }

  localAddress(handle: io.Handle): io.SocketAddress {
    if (this.isDead) return NOWHERE;
    const object = this.#live(handle);
    if (object instanceof SimStream) return object.local;
    return object instanceof SimListener ? object.address : NOWHERE;
  }

  peerAddress(handle: io.Handle): io.SocketAddress {
    if (this.isDead) return NOWHERE;
    const object = this.#live(handle);
    return object instanceof SimStream ? object.remote : NOWHERE;
  }

  openMedium(options: io.MediumOpenOptions): io.Handle {
    if (this.isDead) return -Errno.EBADF;
    const medium = this.world.media.get(options.path);
    if (medium === undefined || medium.isGone) return -Errno.ENOENT;
    if (medium.readOnly && !options.readOnly) return -Errno.EACCES;
    if (options.exclusive && medium.held) return -Errno.EBUSY;
    const handle = this.open(medium, HandleKind.file);
    const index = this.handles.find(handle);
    if (options.readOnly) this.#readOnly.add(index);
    if (options.exclusive) {
      medium.held = true;
      this.#exclusive.add(index);
    }
    return handle;
  }

  geometry(handle: io.Handle): io.MediumGeometry {
    if (this.isDead) return NO_GEOMETRY;
    const object = this.#live(handle);
    assert(object instanceof SimMedium, "only media have a geometry");
    return object.geometry;
  }

  identity(handle: io.Handle): string | null {
    if (this.isDead) return null;
    const object = this.#live(handle);
    assert(object instanceof SimMedium, "only media have an identity");
    return object.identity;
  }

  socketPair(): [io.Handle, io.Handle] {
    const { finish, world } = this;
    const [one, other] = streamPair({
      near: NOWHERE,
      far: NOWHERE,
      finish,
      capacity: world.streamBytes,
    });
    return [this.open(one, HandleKind.stream), this.open(other, HandleKind.stream)];
  }

  adopt(fileDescriptor: number): io.Handle {
    const stream = this.world.detached.get(fileDescriptor);
    if (stream === undefined) return -Errno.EBADF;
    this.world.detached.delete(fileDescriptor);
    stream.finish = this.finish;
    return this.open(stream, HandleKind.stream);
  }

  detach(handle: io.Handle): number {
    const stream = this.stream(handle);
    const index = this.handles.find(handle);
    assert(stream !== null, "only a live stream is detached");
    assert(this.handles.underWay[index] === 0, "no operation is under way on what is detached");
    this.handles.kill(index);
    this.#free(index);
    const descriptor = this.world.freshDescriptor();
    this.world.detached.set(descriptor, stream);
    return descriptor;
  }

  shutdown(handle: io.Handle): number {
    const index = this.handles.find(handle);
    if (index < 0) return -Errno.EBADF;
    const object = this.objects[index]!;
    if (object instanceof SimMedium) return -Errno.ENOTSOCK;
    if (object instanceof SimStream) object.shutdown();
    else for (const operation of object.accepts.splice(0)) this.end(operation, -Errno.EINVAL);
    return 0;
  }

  hasGone(handle: io.Handle): boolean {
    return this.stream(handle)?.isBroken ?? true;
  }

  close(handle: io.Handle): void {
    const index = this.handles.find(handle);
    if (index < 0) return;
    const object = this.objects[index]!;
    this.handles.kill(index);
    for (const [operation, pending] of this.pending) {
      if (pending.index !== index || pending.cancel === null) continue;
      pending.cancel();
      this.end(operation, -Errno.ECANCELED);
    }
    if (object instanceof SimStream) object.shutdown();
    else if (object instanceof SimListener) this.#unlisten(object, false);
    // The last operation that ended here may have freed it already.
    if (this.handles.isDying(index) && this.handles.underWay[index] === 0) this.#free(index);
  }

  /** Marks `operation` as under way on the handle; -1 when that is dead, and -EBADF follows. */
  protected begin(operation: Operation, handle: io.Handle, what: string): number {
    this.submitting(what);
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    operation.off = -1;
    operation.ioSlot = -1;
    if (this.isDead) return -1;
    const index = this.handles.find(handle);
    if (index < 0) {
      this.complete(operation, -Errno.EBADF);
      return -1;
    }
    this.handles.underWay[index]!++;
    this.pending.set(operation, { index, cancel: null });
    return index;
  }

  protected end(operation: Operation, result: number): void {
    const pending = this.pending.get(operation);
    this.pending.delete(operation);
    this.complete(operation, result);
    if (pending === undefined || pending.index < 0) return;
    this.handles.underWay[pending.index]!--;
    const idle = this.handles.underWay[pending.index] === 0;
    if (idle && this.handles.isDying(pending.index)) this.#free(pending.index);
  }

  protected readonly finish: Finish = (operation, result) => this.end(operation, result);

  protected open(object: SimObject, kind: number): io.Handle {
    const handle = this.handles.open(0, kind);
    this.objects[this.handles.find(handle)] = object;
    return handle;
  }

  protected isReadOnly(index: number): boolean {
    return this.#readOnly.has(index);
  }

  protected stream(handle: io.Handle): SimStream | null {
    const index = this.handles.find(handle);
    const object = index < 0 ? null : this.objects[index];
    return object instanceof SimStream ? object : null;
  }

  /** The medium to ask without changing it, or null when the operation was ended. */
  protected mediumOf(operation: Operation, handle: io.Handle): SimMedium | null {
    const index = this.begin(operation, handle, "a question to a medium");
    if (index < 0) return null;
    const medium = this.objects[index];
    if (medium instanceof SimMedium) return medium;
    this.end(operation, -Errno.EINVAL);
    return null;
  }

  protected closeAll(power = false): void {
    for (let index = 0; index < this.handles.top; index++) {
      const object = this.objects[index];
      if (object === null || object === undefined) continue;
      if (object instanceof SimStream) {
        if (power) object.wire = null;
        object.shutdown();
      } else if (object instanceof SimListener) this.#unlisten(object, power);
      this.#free(index);
    }
  }

  #unlisten(listener: SimListener, power: boolean): void {
    const { listeners } = this.world;
    if (listeners.get(listener.key) === listener) listeners.delete(listener.key);
    if (power) return;
    for (const stream of listener.arrived.splice(0)) stream.shutdown(-Errno.ECONNRESET);
  }

  #live(handle: io.Handle): SimObject {
    const index = this.handles.find(handle);
    assert(index >= 0, "a closed handle has no address, size or descriptor");
    return this.objects[index]!;
  }

  #listen(address: io.SocketAddress, key: string): io.Handle {
    const listener = new SimListener({
      address,
      key,
      place: this.place,
      deliver: (operation, stream) => {
        stream.finish = this.finish;
        this.end(operation, this.open(stream, HandleKind.stream));
      },
    });
    this.world.listeners.set(key, listener);
    return this.open(listener, HandleKind.listener);
  }

  #free(index: number): void {
    const object = this.objects[index];
    if (object instanceof SimMedium && this.#exclusive.has(index)) object.held = false;
    this.#exclusive.delete(index);
    this.#readOnly.delete(index);
    this.objects[index] = null;
    this.handles.free(index);
  }
}
