import { assert } from "../../protocol/core/assert.ts";
import { Errno } from "./errno.ts";
import type { SocketAddress } from "./io.ts";
import type { Operation } from "./operation.ts";
import type { SimPlace } from "./sim_schedule.ts";

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

/** How the bytes of one end get to the other one. */
export interface SimWire {
  /** The other end is known to be over: nothing can be sent. */
  readonly isBroken: boolean;
  /** Something is on its way, from this end or to it; or this end has yet to learn of its loss. */
  readonly isBusy: boolean;
  /** How many may be sent now. */
  room(): number;
  carry(bytes: Uint8Array): void;
  /** This end's owner took so many out of its inbox: the other end has room again. */
  taken(count: number): void;
  /** This end is over: with 0 as after a close, else as a reset. */
  hangUp(errno: number): void;
}

/** One end of a connection. Bytes wait in the receiver's inbox, as many as it has room for. */
export class SimStream {
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  wire: SimWire | null = null;
  receive: SimReceive | null = null;
  send: SimSend | null = null;
  /** No bytes will come any more: 0 at a clean end, or a negated errno. */
  ended: number | null = null;
  /** This end was shut or closed. */
  shut = false;
  finish: Finish;
  readonly #inbox: Uint8Array[] = [];
  #inboxBytes = 0;

  constructor(options: { finish: Finish; local: SocketAddress; remote: SocketAddress }) {
    this.finish = options.finish;
    this.local = options.local;
    this.remote = options.remote;
  }

  get inboxBytes(): number {
    return this.#inboxBytes;
  }

  /** Nothing can be sent any more. */
  get isBroken(): boolean {
    return this.shut || (this.wire?.isBroken ?? true) || (this.ended ?? 0) < 0;
  }

  /** Moves what can be moved, and ends what is done. */
  pump(): void {
    for (let moved = true; moved;) {
      moved = this.#pushOut();
      moved = this.#takeIn() || moved;
    }
  }

  /** What there is room for now: a count, or a negated errno. */
  sendNow(bytes: Uint8Array): number {
    assert(this.send === null, "a stream has one send under way");
    if (this.isBroken || this.wire === null) return this.#sendErrno();
    const count = Math.min(bytes.length, this.wire.room());
    if (count <= 0) return -Errno.EAGAIN;
    this.wire.carry(bytes.slice(0, count));
    return count;
  }

  /** Bytes came; `pump` gives them to whoever waits. */
  arrive(bytes: Uint8Array): void {
    this.#inbox.push(bytes);
    this.#inboxBytes += bytes.length;
  }

  /** Nothing more comes: the other end hung up, or the connection was reset. */
  end(errno: number): void {
    if (errno < 0) {
      // A reset takes with it what was received and not read.
      this.#inbox.length = 0;
      this.#inboxBytes = 0;
    }
    if (this.ended === null || this.ended === 0) this.ended = errno;
    this.pump();
  }

  /** Stops both directions; the other end sees the end of the stream, or `errno`. */
  shutdown(errno = 0): void {
    if (this.shut) return;
    this.shut = true;
    this.ended ??= errno;
    this.wire?.hangUp(errno);
    this.pump();
  }

  #pushOut(): boolean {
    const send = this.send;
    if (send === null) return false;
    const wire = this.wire;
    if (this.isBroken || wire === null) {
      this.send = null;
      this.finish(send.operation, this.#sendErrno());
      return true;
    }
    let moved = false;
    for (let room = wire.room(); send.parts.length > 0 && room > 0; room = wire.room()) {
      const bytes = takeFirst(send.parts, room);
      if (bytes.length > 0) wire.carry(bytes);
      moved = true;
    }
    if (send.parts.length > 0 || this.send !== send) return moved;
    this.send = null;
    this.finish(send.operation, send.length);
    return true;
  }

  #sendErrno(): number {
    return this.ended !== null && this.ended < 0 ? this.ended : -Errno.EPIPE;
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
    const filled = this.#fill(place);
    receive.done += filled;
    receive.wanted -= filled;
    this.wire?.taken(filled);
    if (receive.exactly && receive.wanted > 0) return true;
    return this.#received(receive);
  }

  #fill(place: Uint8Array): number {
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
    return filled;
  }

  #received(receive: SimReceive): boolean {
    if (this.receive === receive) this.receive = null;
    this.finish(receive.operation, receive.done);
    return true;
  }
}

/** As many bytes of the parts as there is room for, in one piece: a gathered send is one send. */
function takeFirst(parts: Uint8Array[], room: number): Uint8Array {
  const whole = parts.reduce((sum, part) => sum + part.length, 0);
  const taken = new Uint8Array(Math.min(whole, room));
  for (let at = 0; at < taken.length || parts[0]?.length === 0;) {
    const part = parts[0]!;
    const count = Math.min(part.length, taken.length - at);
    taken.set(part.subarray(0, count), at);
    at += count;
    if (count === part.length) parts.shift();
    else parts[0] = part.subarray(count);
  }
  return taken;
}

/** Between two ends on one machine: at once. */
class LocalWire implements SimWire {
  /** What is sent is there at once. */
  readonly isBusy = false;
  readonly #peer: SimStream;
  readonly #capacity: number;
  /** A wire is in use: what its ends do to each other waits for that one's loop. */
  readonly #turn: { busy: boolean };

  constructor(peer: SimStream, options: { capacity: number; turn: { busy: boolean } }) {
    this.#peer = peer;
    this.#capacity = options.capacity;
    this.#turn = options.turn;
  }

  get isBroken(): boolean {
    return this.#peer.shut;
  }

  room(): number {
    return this.#capacity - this.#peer.inboxBytes;
  }

  carry(bytes: Uint8Array): void {
    this.#peer.arrive(bytes);
    this.#pumpPeer();
  }

  taken(): void {
    this.#pumpPeer();
  }

  hangUp(errno: number): void {
    this.#peer.ended ??= errno;
    this.#peer.pump();
  }

  #pumpPeer(): void {
    if (this.#turn.busy) return;
    this.#turn.busy = true;
    this.#peer.pump();
    this.#turn.busy = false;
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
  const one = new SimStream({ finish, local: near, remote: far });
  const other = new SimStream({ finish, local: far, remote: near });
  const turn = { busy: false };
  one.wire = new LocalWire(other, { capacity, turn });
  other.wire = new LocalWire(one, { capacity, turn });
  return [one, other];
}

/** Waiting connections and waiting accepts; one of the two is empty. */
export class SimListener {
  readonly address: SocketAddress;
  /** Key in the world's table. */
  readonly key: string;
  /** Where its owner is; null in a world without a schedule. */
  readonly place: SimPlace | null;
  readonly accepts: Operation[] = [];
  readonly arrived: SimStream[] = [];
  /** Makes a handle of a stream in the listener's Io, and ends the accept with it. */
  readonly deliver: (operation: Operation, stream: SimStream) => void;

  constructor(options: {
    address: SocketAddress;
    key: string;
    place: SimPlace | null;
    deliver: (operation: Operation, stream: SimStream) => void;
  }) {
    this.address = options.address;
    this.key = options.key;
    this.place = options.place;
    this.deliver = options.deliver;
  }

  pump(): void {
    while (this.accepts.length > 0 && this.arrived.length > 0) {
      this.deliver(this.accepts.shift()!, this.arrived.shift()!);
    }
  }
}
