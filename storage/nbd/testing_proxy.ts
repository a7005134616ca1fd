import { concat } from "../../protocol/core/bytes.ts";
import type { Handle, Io, SocketAddress } from "../io/io.ts";
import { Operation } from "../io/operation.ts";

/** What happens to the bytes of one direction of one connection. */
export interface ProxyFault {
  /** After so many bytes the connection is cut; what came before arrives. */
  readonly cutAfter?: number;
  /** After so many bytes nothing more arrives, and nothing is cut. */
  readonly muteAfter?: number;
  /** Called with each run of bytes and its place in the stream; answers what is sent instead. */
  readonly change?: (bytes: Uint8Array, at: number) => Uint8Array;
}

/** The faults of the n-th connection, from 0. */
export type ProxyPlan = (
  connection: number,
) => { readonly toUnit?: ProxyFault; readonly toHost?: ProxyFault };

/** A connection through a FaultProxy; ends as a whole when either side ends. */
class Pair {
  readonly #io: Io;
  readonly #ends: Handle[];
  #halves = 2;
  #closed = false;

  constructor(io: Io, ends: Handle[]) {
    this.#io = io;
    this.#ends = ends;
  }

  shut(): void {
    for (const end of this.#ends) this.#io.shutdown(end);
  }

  halfEnded(): void {
    this.shut();
    if (--this.#halves > 0 || this.#closed) return;
    this.#closed = true;
    for (const end of this.#ends) this.#io.close(end);
  }
}

/** Copies one direction, with its fault. */
class Half {
  readonly #io: Io;
  readonly #pair: Pair;
  readonly #from: Handle;
  readonly #to: Handle;
  readonly #fault: ProxyFault;
  #count = 0;
  #buffer = -1;
  readonly #receive = new Operation((operation) => this.#onReceived(operation));
  readonly #send = new Operation((operation) => this.#onSent(operation));

  constructor(io: Io, o: { pair: Pair; from: Handle; to: Handle; fault: ProxyFault }) {
    this.#io = io;
    this.#pair = o.pair;
    this.#from = o.from;
    this.#to = o.to;
    this.#fault = o.fault;
    io.receive(this.#receive, o.from);
  }

  #onReceived(operation: Operation): void {
    if (operation.result <= 0) return this.#pair.halfEnded();
    const { off, result } = operation;
    const { cutAfter = Infinity, muteAfter = Infinity, change } = this.#fault;
    const before = this.#count;
    this.#count += result;
    let bytes: Uint8Array = this.#io.bytes.slice(off, off + result);
    bytes = bytes.subarray(0, Math.max(0, Math.min(cutAfter, muteAfter) - before));
    if (change !== undefined) bytes = change(bytes, before);
    this.#io.buffers.release(off);
    if (bytes.length === 0) return this.#goOn();
    this.#buffer = this.#io.buffers.take(bytes.length);
    this.#io.bytes.set(bytes, this.#buffer);
    this.#io.send(this.#send, this.#to, this.#buffer, bytes.length);
  }

  #onSent(operation: Operation): void {
    this.#io.buffers.release(this.#buffer);
    if (operation.result < 0) return this.#pair.halfEnded();
    this.#goOn();
  }

  #goOn(): void {
    if (this.#count >= (this.#fault.cutAfter ?? Infinity)) return this.#pair.halfEnded();
    this.#io.receive(this.#receive, this.#from);
  }
}

/** Stands between a client and a server and does to their bytes what a plan says. For tests. */
export class FaultProxy {
  readonly port: number;
  connections = 0;
  readonly #io: Io;
  readonly #to: SocketAddress;
  readonly #plan: ProxyPlan;
  readonly #listener: Handle;
  readonly #accept = new Operation((operation) => this.#onAccepted(operation.result));

  constructor(io: Io, o: { to: SocketAddress; plan: ProxyPlan }) {
    this.#io = io;
    this.#to = o.to;
    this.#plan = o.plan;
    this.#listener = io.listenTcp({ address: "127.0.0.1", port: 0 }, { backlog: 16 });
    this.port = io.localAddress(this.#listener).port;
    io.accept(this.#accept, this.#listener);
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  #onAccepted(host: Handle): void {
    if (host < 0) return;
    const plan = this.#plan(this.connections++);
    const connect = new Operation(({ result: unit }) => {
      if (unit < 0) return this.#io.close(host);
      const pair = new Pair(this.#io, [host, unit]);
      new Half(this.#io, { pair, from: host, to: unit, fault: plan.toUnit ?? {} });
      new Half(this.#io, { pair, from: unit, to: host, fault: plan.toHost ?? {} });
    });
    this.#io.connectTcp(connect, this.#to);
    this.#io.accept(this.#accept, this.#listener);
  }
}

/** A change that puts `bytes` at a place of the stream, over what was there. */
export function overwrite(place: number, bytes: Uint8Array): NonNullable<ProxyFault["change"]> {
  return (run, at) => {
    const copy = concat(run);
    for (let i = 0; i < bytes.length; i++) {
      const index = place + i - at;
      if (index >= 0 && index < copy.length) copy[index] = bytes[i]!;
    }
    return copy;
  };
}
