import { Errno } from "./errno.ts";
import type { SocketAddress } from "./io.ts";
import type { Operation } from "./operation.ts";

/** Ends an operation of the Io that owns the stream. */
export type Finish = (operation: Operation, result: number) => void;

/** A pending receive: takes bytes out of the inbox, and says how many it took. */
export interface SimReceive {
  readonly operation: Operation;
  /** Bytes still wanted; for `receive` any amount up to this. */
  wanted: number;
  done: number;
  readonly exactly: boolean;
  /** Where the next bytes go, or null while there is no buffer. */
  place(): Uint8Array | null;
}

/** A pending send: what is left of it, as views of the sender's arena. */
export interface SimSend {
  readonly operation: Operation;
  readonly parts: Uint8Array[];
  readonly length: number;
}

/** One end of a connection. Bytes wait in the receiver's inbox, at most `capacity` of them. */
export class SimStream {
  peer: SimStream | null = null;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  receive: SimReceive | null = null;
  send: SimSend | null = null;
  /** No bytes will come any more: 0 at a clean end, or a negated errno. */
  ended: number | null = null;
  /** This end was shut or closed. */
  shut = false;
  finish: Finish;
  readonly #inbox: Uint8Array[] = [];
  #inboxBytes = 0;
  readonly #capacity: number;

  constructor(options: {
    finish: Finish;
    capacity: number;
    local: SocketAddress;
    remote: SocketAddress;
  }) {
    this.finish = options.finish;
    this.#capacity = options.capacity;
    this.local = options.local;
    this.remote = options.remote;
  }

  /** Moves what can be moved in both directions, and ends what is done. */
  pump(): void {
    for (let moved = true; moved;) {
      moved = this.#pushOut();
      if (this.peer !== null) moved = this.peer.#pushOut() || moved;
      moved = this.#takeIn() || moved;
      if (this.peer !== null) moved = this.peer.#takeIn() || moved;
    }
  }

  /** Stops both directions; the other end sees the end of the stream, or `errno`. */
  shutdown(errno = 0): void {
    if (this.shut) return;
    this.shut = true;
    this.ended ??= errno;
    const peer = this.peer;
    if (peer !== null) peer.ended ??= errno;
    this.pump();
  }

  #pushOut(): boolean {
    const send = this.send;
    if (send === null) return false;
    const peer = this.peer;
    if (this.shut || peer === null || peer.shut || (this.ended ?? 0) < 0) {
      this.send = null;
      const errno = this.ended !== null && this.ended < 0 ? this.ended : -Errno.EPIPE;
      this.finish(send.operation, errno);
      return true;
    }
    let moved = false;
    while (send.parts.length > 0 && peer.#inboxBytes < this.#capacity) {
      const part = send.parts[0]!;
      const count = Math.min(part.length, this.#capacity - peer.#inboxBytes);
      if (count > 0) peer.#inbox.push(part.slice(0, count));
      peer.#inboxBytes += count;
      if (count === part.length) send.parts.shift();
      else send.parts[0] = part.subarray(count);
      moved = true;
    }
    if (send.parts.length > 0) return moved;
    this.send = null;
    this.finish(send.operation, send.length);
    return true;
  }

  #takeIn(): boolean {
    const receive = this.receive;
    if (receive === null) return false;
    if (this.ended !== null && (this.ended < 0 || this.#inboxBytes === 0)) {
      this.receive = null;
      this.finish(receive.operation, this.ended < 0 ? this.ended : receive.done);
      return true;
    }
    if (receive.exactly && receive.wanted === 0) return this.#received(receive);
    if (this.#inboxBytes === 0) return false;
    const place = receive.place();
    if (place === null) return false;
    let filled = 0;
    while (filled < place.length && this.#inboxBytes > 0) {
      const chunk = this.#inbox[0]!;
      const count = Math.min(chunk.length, place.length - filled);
      place.set(chunk.subarray(0, count), filled);
      filled += count;
      this.#inboxBytes -= count;
      if (count === chunk.length) this.#inbox.shift();
      else this.#inbox[0] = chunk.subarray(count);
    }
    receive.done += filled;
    receive.wanted -= filled;
    if (receive.exactly && receive.wanted > 0) return true;
    return this.#received(receive);
  }

  #received(receive: SimReceive): boolean {
    this.receive = null;
    this.finish(receive.operation, receive.done);
    return true;
  }
}

/** Two connected ends; `far` is given its own `finish` when somebody takes it. */
export function streamPair(options: {
  near: SocketAddress;
  far: SocketAddress;
  finish: Finish;
  capacity: number;
}): [SimStream, SimStream] {
  const { near, far, finish, capacity } = options;
  const one = new SimStream({ finish, capacity, local: near, remote: far });
  const other = new SimStream({ finish, capacity, local: far, remote: near });
  one.peer = other;
  other.peer = one;
  return [one, other];
}

/** Waiting connections and waiting accepts; one of the two is empty. */
export class SimListener {
  readonly address: SocketAddress;
  /** Key in the world's table. */
  readonly key: string;
  readonly accepts: Operation[] = [];
  readonly arrived: SimStream[] = [];
  /** Makes a handle of a stream in the listener's Io, and ends the accept with it. */
  readonly deliver: (operation: Operation, stream: SimStream) => void;

  constructor(options: {
    address: SocketAddress;
    key: string;
    deliver: (operation: Operation, stream: SimStream) => void;
  }) {
    this.address = options.address;
    this.key = options.key;
    this.deliver = options.deliver;
  }

  pump(): void {
    while (this.accepts.length > 0 && this.arrived.length > 0) {
      this.deliver(this.accepts.shift()!, this.arrived.shift()!);
    }
  }
}
