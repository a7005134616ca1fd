import { assert } from "../../protocol/core/assert.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import type * as io from "./io.ts";
import { RECEIVE_BUFFER_BYTES } from "./io.ts";
import type { Operation } from "./operation.ts";
import { SimMediaIo } from "./sim_media.ts";
import { SimListener, SimStream, streamPair } from "./sim_stream.ts";
import { tcpKey, unixKey } from "./sim_world.ts";

/**
 * The seam in memory, for tests: deterministic, with virtual time. Several on one SimWorld reach
 * each other. Time stands still but for turns that would wait.
 */
export class SimIo extends SimMediaIo implements io.Io {
  readonly #hungry = new Set<SimStream>();

  /** Open handles, those that wait for their last operation included. */
  get openCount(): number {
    return this.handles.used;
  }

  /**
   * Something that has a buffer is under way, or may have: on a medium, a send, a receive of just
   * so much; or what was asked over a connection, or its answer, is on its way, or was lost with
   * the power of the other end's machine, which this end does not know yet.
   */
  get hasBuffersUnderWay(): boolean {
    return [...this.pending.values()].some(({ index, cancel }) => {
      const object = this.objects[index];
      if (!(object instanceof SimStream)) return cancel === null;
      return object.send !== null || object.receive?.exactly === true ||
        object.wire?.isBusy === true;
    });
  }

  accept(operation: Operation, listener: io.Handle): void {
    const index = this.begin(operation, listener, "an accept");
    if (index < 0) return;
    const object = this.objects[index];
    if (!(object instanceof SimListener)) return this.end(operation, -Errno.EINVAL);
    object.accepts.push(operation);
    this.#cancellable(operation, () => {
      object.accepts.splice(object.accepts.indexOf(operation), 1);
    });
    object.pump();
  }

  connectTcp(operation: Operation, to: io.SocketAddress): void {
    if (this.world.network !== null) return this.#connectFar(operation, to);
    this.#connect(operation, { to, key: tcpKey(to), missing: -Errno.ECONNREFUSED });
  }

  connectUnix(operation: Operation, path: string): void {
    const to = { address: path, port: 0 };
    const key = unixKey(path, this.machine);
    this.#connect(operation, { to, key, missing: -Errno.ENOENT });
  }

  receive(
    operation: Operation,
    handle: io.Handle,
    lengthMax: number = RECEIVE_BUFFER_BYTES,
  ): void {
    const stream = this.#beginReceive(operation, handle);
    if (stream === null) return;
    let off = -1;
    stream.receive = {
      operation,
      wanted: lengthMax,
      done: 0,
      exactly: false,
      place: () => {
        off = this.buffers.takeReceive();
        if (off < 0) {
          this.#hungry.add(stream);
          return null;
        }
        operation.off = off;
        return this.bytes.subarray(off, off + lengthMax);
      },
    };
    stream.pump();
  }

  receiveExactly(operation: Operation, handle: io.Handle, off: io.Off, length: number): void {
    const stream = this.#beginReceive(operation, handle);
    if (stream === null) return;
    const receive = {
      operation,
      wanted: length,
      done: 0,
      exactly: true,
      place: () => this.bytes.subarray(off + receive.done, off + length),
    };
    stream.receive = receive;
    stream.pump();
  }

  send(operation: Operation, handle: io.Handle, off: io.Off, length: number): void {
    this.#send(operation, handle, [this.bytes.subarray(off, off + length)]);
  }

  sendGathered(
    operation: Operation,
    handle: io.Handle,
    segments: Float64Array,
    count: number,
  ): void {
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const off = segments[2 * i]!;
      parts.push(this.bytes.subarray(off, off + segments[2 * i + 1]!));
    }
    this.#send(operation, handle, parts);
  }

  sendAtOnce(handle: io.Handle, off: io.Off, length: number): number {
    this.submitting("a send at once");
    const stream = this.stream(handle);
    if (this.isDead || stream === null) return -Errno.EBADF;
    return stream.sendNow(this.bytes.subarray(off, off + this.world.takenAtOnce(length)));
  }

  cancel(operation: Operation): void {
    if (!operation.busy || this.isDead) return;
    if (this.timers.has(operation)) {
      this.timers.remove(operation);
      this.complete(operation, -Errno.ECANCELED);
      return;
    }
    const cancel = this.pending.get(operation)?.cancel ?? null;
    if (cancel === null) return;
    cancel();
    this.end(operation, -Errno.ECANCELED);
  }

  turn(maxWaitMs: number): void {
    assert(!this.isDead, "an Io that was destroyed is not used");
    if (this.world.schedule === null) this.passTime(maxWaitMs);
    this.turnBegins();
    this.#feed();
    if (this.woken) {
      this.woken = false;
      this.wake?.();
    }
    this.completions.run();
    if (this.completions.pending) this.ready();
  }

  destroy(): void {
    if (this.isDead) return;
    this.silence();
    this.world.residents.delete(this);
    // The kernel lets nobody else have a medium before these have ended.
    this.mediaCalls?.die();
    this.closeAll();
  }

  /** Receives that found no buffer try again, in order. */
  #feed(): void {
    for (const stream of [...this.#hungry]) {
      this.#hungry.delete(stream);
      stream.pump();
    }
  }

  #beginReceive(operation: Operation, handle: io.Handle): SimStream | null {
    const index = this.begin(operation, handle, "a receive");
    if (index < 0) return null;
    const stream = this.objects[index];
    if (!(stream instanceof SimStream)) {
      this.end(operation, -Errno.ENOTCONN);
      return null;
    }
    assert(stream.receive === null, "a stream has one receive under way");
    this.#cancellable(operation, () => {
      stream.receive = null;
      this.#hungry.delete(stream);
    });
    return stream;
  }

  #send(operation: Operation, handle: io.Handle, parts: Uint8Array[]): void {
    const index = this.begin(operation, handle, "a send");
    if (index < 0) return;
    const stream = this.objects[index];
    if (!(stream instanceof SimStream)) return this.end(operation, -Errno.ENOTCONN);
    assert(stream.send === null, "a stream has one send under way");
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.#cancellable(operation, () => {
      stream.send = null;
    });
    stream.send = { operation, parts, length };
    stream.pump();
  }

  #cancellable(operation: Operation, cancel: () => void): void {
    this.pending.get(operation)!.cancel = cancel;
  }

  #connect(
    operation: Operation,
    options: { to: io.SocketAddress; key: string; missing: number },
  ): void {
    const listener = this.world.listeners.get(options.key);
    const near = { address: options.to.port === 0 ? "" : options.to.address, port: 0 };
    if (near.address !== "") near.port = this.world.freshPort();
    this.submitting("a connect");
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    operation.ioSlot = -1;
    if (this.isDead) return;
    if (listener === undefined) return this.complete(operation, options.missing);
    const { finish, world } = this;
    const [one, other] = streamPair({
      near,
      far: options.to,
      finish,
      capacity: world.streamBytes,
    });
    listener.arrived.push(other);
    this.complete(operation, this.open(one, HandleKind.stream));
    listener.pump();
  }

  #connectFar(operation: Operation, to: io.SocketAddress): void {
    this.submitting("a connect");
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    operation.ioSlot = -1;
    if (this.isDead) return;
    const attempt = this.world.network!.connect(this.place!, to, (result) => {
      if (typeof result === "number") return this.end(operation, result);
      result.finish = this.finish;
      this.end(operation, this.open(result, HandleKind.stream));
    });
    this.pending.set(operation, { index: -1, cancel: () => attempt.cancel() });
  }
}
