import { assert } from "../../protocol/core/assert.ts";
import { Errno } from "./errno.ts";
import { HandleKind } from "./handles.ts";
import type * as io from "./io.ts";
import { RECEIVE_BUFFER_BYTES } from "./io.ts";
import type { Operation } from "./operation.ts";
import { SimBase, tcpKey, unixKey } from "./sim_base.ts";
import { SimListener, SimStream, streamPair } from "./sim_stream.ts";
import { type SimMediaCall, SimMedium } from "./sim_world.ts";

/**
 * The seam in memory, for tests: deterministic, with virtual time. Several on one SimWorld reach
 * each other. Time stands still but for turns that would wait.
 */
export class SimIo extends SimBase implements io.Io {
  readonly #hungry = new Set<SimStream>();
  #wake: (() => void) | null = null;
  #dead = false;

  accept(operation: Operation, listener: io.Handle): void {
    const index = this.begin(operation, listener);
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
    this.#connect(operation, { to, key: tcpKey(to), missing: -Errno.ECONNREFUSED });
  }

  connectUnix(operation: Operation, path: string): void {
    const to = { address: path, port: 0 };
    this.#connect(operation, { to, key: unixKey(path), missing: -Errno.ENOENT });
  }

  receive(operation: Operation, handle: io.Handle): void {
    const stream = this.#beginReceive(operation, handle);
    if (stream === null) return;
    let off = -1;
    stream.receive = {
      operation,
      wanted: RECEIVE_BUFFER_BYTES,
      done: 0,
      exactly: false,
      place: () => {
        off = this.buffers.takeReceive();
        if (off < 0) {
          this.#hungry.add(stream);
          return null;
        }
        operation.off = off;
        return this.bytes.subarray(off, off + RECEIVE_BUFFER_BYTES);
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

  read(operation: Operation, handle: io.Handle, at: io.Transfer): void {
    const { off, length, position } = at;
    this.#media(operation, handle, {
      ...{ kind: "read", position, length, fua: false },
      run: (medium) => medium.read(this.bytes.subarray(off, off + length), position),
    });
  }

  write(operation: Operation, handle: io.Handle, at: io.Transfer, fua: boolean): void {
    const { off, length, position } = at;
    this.#media(operation, handle, {
      ...{ kind: "write", position, length, fua },
      run: (medium) => medium.write(this.bytes.subarray(off, off + length), position),
    });
  }

  sync(operation: Operation, handle: io.Handle): void {
    this.#media(operation, handle, {
      ...{ kind: "sync", position: 0, length: 0, fua: false },
      run: () => 0,
    });
  }

  discard(operation: Operation, handle: io.Handle, position: number, length: number): void {
    this.#media(operation, handle, {
      ...{ kind: "discard", position, length, fua: false },
      run: (medium) => medium.zero(position, length),
    });
  }

  zero(operation: Operation, handle: io.Handle, at: io.ZeroRange): void {
    const { position, length } = at;
    this.#media(operation, handle, {
      ...{ kind: "zero", position, length, fua: false },
      run: (medium) => medium.zero(position, length),
    });
  }

  timer(operation: Operation, delayMs: number): void {
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    this.timers.add(operation, this.world.nowMs + delayMs);
  }

  cancel(operation: Operation): void {
    if (!operation.busy) return;
    if (this.timers.has(operation)) {
      this.timers.remove(operation);
      this.completions.push(operation, -Errno.ECANCELED);
      return;
    }
    const cancel = this.pending.get(operation)?.cancel ?? null;
    if (cancel === null) return;
    cancel();
    this.end(operation, -Errno.ECANCELED);
  }

  onWake(run: () => void): void {
    this.#wake = run;
  }

  atTurnEnd(task: io.TurnTask): void {
    this.completions.addTask(task);
  }

  turn(maxWaitMs: number): void {
    assert(!this.#dead, "an Io that was destroyed is not used");
    const world = this.world;
    let waitMs = maxWaitMs;
    if (this.completions.pending || this.woken) {
      this.completions.runTasks();
      waitMs = 0;
    }
    // Waiting is what makes time pass; without an end to wait for, it stands still.
    const untilMs = Math.min(world.nowMs + waitMs, this.timers.nextMs);
    if (waitMs > 0 && untilMs !== Infinity) world.nowMs = Math.max(world.nowMs, untilMs);
    this.timeMs = world.nowMs;
    for (let due = this.timers.takeDue(this.timeMs); due !== null;) {
      this.completions.push(due, 0);
      due = this.timers.takeDue(this.timeMs);
    }
    this.#feed();
    if (this.woken) {
      this.woken = false;
      this.#wake?.();
    }
    this.completions.run();
  }

  destroy(): void {
    if (this.#dead) return;
    this.#dead = true;
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
    const index = this.begin(operation, handle);
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
    const index = this.begin(operation, handle);
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
    assert(!operation.busy, "an operation is submitted once at a time");
    operation.busy = true;
    operation.ioSlot = -1;
    if (listener === undefined) return this.completions.push(operation, options.missing);
    const { finish, world } = this;
    const [one, other] = streamPair({
      near,
      far: options.to,
      finish,
      capacity: world.streamBytes,
    });
    listener.arrived.push(other);
    this.completions.push(operation, this.open(one, HandleKind.stream));
    listener.pump();
  }

  #media(operation: Operation, handle: io.Handle, call: MediaRun): void {
    const index = this.begin(operation, handle);
    if (index < 0) return;
    const medium = this.objects[index];
    if (!(medium instanceof SimMedium)) return this.end(operation, -Errno.EINVAL);
    const writes = call.kind !== "read" && call.kind !== "sync";
    if (writes && this.isReadOnly(index)) return this.end(operation, -Errno.EBADF);
    const run = () => {
      if (this.#dead) return;
      this.end(operation, call.run(medium));
    };
    const { kind, position, length, fua } = call;
    const verdict = this.world.mediaFault({ path: medium.path, kind, position, length, fua });
    if (verdict === "hold") this.world.hold(run);
    else if (verdict === "ok") run();
    else this.end(operation, verdict);
  }
}

type MediaRun = Omit<SimMediaCall, "path"> & { readonly run: (medium: SimMedium) => number };
