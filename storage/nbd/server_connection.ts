import { defined } from "../../protocol/core/assert.ts";
import { NBD_NEGOTIATION_MS } from "../../protocol/core/limits.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { CounterRow } from "../counters/row.ts";
import { errnoName } from "../io/errno.ts";
import type { BufferUser, Handle, Io, SocketAddress } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { DeviceErrors } from "./device_errors.ts";
import { AtOnceRequests } from "./server_at_once.ts";
import type { ServerCounters } from "./server_counters.ts";
import { Negotiator, type NegotiatorHost, type Terms } from "./server_negotiator.ts";
import type { RequestPool } from "./server_request.ts";
import { Session } from "./server_session.ts";
import type { SessionHost, Shared } from "./server_session_types.ts";
import type { TlsDoor } from "../tls/door.ts";
import type { ConnectionEnd, ExportEntry, ExportGate } from "./server_types.ts";

/** What a connection needs of its server. */
export interface ConnectionOptions {
  /** As the log and its counters' name have it. */
  readonly id: number;
  readonly io: Io;
  readonly handle: Handle;
  readonly peer: SocketAddress | null;
  readonly gate: ExportGate;
  readonly pool: RequestPool;
  readonly counters: ServerCounters;
  readonly bufferUser: BufferUser;
  readonly log: Log;
  readonly errors: DeviceErrors;
  readonly negotiationMs?: number;
  /** What secures it; it is never secured when not given. */
  readonly door?: TlsDoor;
  /** It waits for a buffer or a request. */
  readonly starved: () => void;
  /** Nothing is received for now, so that its client's end goes unseen: see `shutIfGone`. */
  readonly unread: () => void;
  /** It was shut, and waits for operations that are under way. */
  readonly leaving: (connection: ServerConnection) => void;
  /** The socket is closed and every operation of the connection has ended. */
  readonly closed: (connection: ServerConnection) => void;
}

/**
 * open: requests are read. finishing: nothing more is read, what is outstanding is answered.
 * shut: the socket is shut and nothing more is submitted. closed: it is all over.
 */
type State = "open" | "finishing" | "shut" | "closed";

/**
 * The life of one client's connection. The phases (Negotiator, then Session) do the talking; this
 * class owns the socket, the deadline and the end. `ExportEntry.closed` and `ExportGate.ended` are
 * called when nothing is under way on the device and nothing will be.
 */
export class ServerConnection implements NegotiatorHost, SessionHost {
  readonly id: number;
  readonly peer: SocketAddress | null;
  readonly #options: ConnectionOptions;
  readonly #io: Io;
  /** Of plaintext: TLS puts another in the place of the first. */
  #handle: Handle;
  readonly #receive = new Operation(() => this.#received());
  readonly #deadline = new Operation(() => this.#deadlinePassed());
  readonly #negotiator: Negotiator;
  #session: Session | null = null;
  #atOnce: AtOnceRequests | null = null;
  /** Of its requests, from GO on. */
  #counters: CounterRow | null = null;
  #state: State = "open";
  #end: ConnectionEnd = { clean: false, reason: "" };
  #quiescent = false;
  #waiting: (() => void)[] = [];

  constructor(options: ConnectionOptions) {
    this.id = options.id;
    this.peer = options.peer;
    this.#options = options;
    this.#io = options.io;
    this.#handle = options.handle;
    this.#negotiator = new Negotiator(this, { ...options, tls: options.door?.policy ?? "off" });
  }

  /** Greets the client. */
  start(): void {
    this.#options.counters.negotiationBegan();
    this.#io.timer(this.#deadline, this.#options.negotiationMs ?? NBD_NEGOTIATION_MS);
    this.#negotiator.start();
  }

  /** Reads nothing more, answers what is outstanding, then closes. */
  finish(reason: string, options: { clean: boolean }): void {
    if (this.#state !== "open") return;
    if (this.#session === null) return this.shut(reason);
    this.#state = "finishing";
    this.#end = { clean: options.clean, reason };
    this.#session.stop();
    if (this.#receive.busy) this.#io.cancel(this.#receive);
    this.progressed();
  }

  /** It has not reached transmission, and still may. */
  get isNegotiating(): boolean {
    return this.#session === null && this.#state === "open";
  }

  get isOver(): boolean {
    return this.#state === "shut" || this.#state === "closed";
  }

  shut(reason: string, quiescent?: () => void): void {
    if (quiescent !== undefined) {
      if (this.#quiescent) return quiescent();
      this.#waiting.push(quiescent);
    }
    if (this.#state === "shut" || this.#state === "closed") return;
    // A client that has said DISC has left cleanly, also when its last replies did not arrive.
    if (this.#state === "open") this.#end = { clean: false, reason };
    this.#options.log.debug("connection ends", { connection: this.id, reason });
    this.#stop();
  }

  #stop(): void {
    this.#state = "shut";
    this.#options.leaving(this);
    this.#negotiator.shut();
    this.#session?.shut();
    this.#io.shutdown(this.#handle);
    this.#options.door?.ended(this.#handle);
    if (this.#receive.busy) this.#io.cancel(this.#receive);
    if (this.#deadline.busy) this.#io.cancel(this.#deadline);
    this.progressed();
  }

  // NegotiatorHost and SessionHost.

  receiveMore(): void {
    if (this.#state === "open" && !this.#receive.busy) {
      const lengthMax = this.#session?.payload.receiveBytesMax;
      this.#io.receive(this.#receive, this.#handle, lengthMax);
    }
  }

  ready(entry: ExportEntry, terms: Terms, rest: Uint8Array): void {
    this.#options.counters.negotiationEnded();
    this.#io.cancel(this.#deadline);
    const { device, askers } = entry;
    const counters = this.#options.counters.addConnection(this, entry.counters, this.#io.nowMs());
    this.#counters = counters;
    const handle = this.#handle;
    const options = { ...this.#options, ...terms, handle, device, askers, counters };
    const session = new Session(this, options);
    this.#session = session;
    this.#atOnce = new AtOnceRequests(session, { ...options, host: this });
    const source = { bytes: rest, view: new DataView(rest.buffer, rest.byteOffset, rest.length) };
    session.take(source, 0, rest.length);
    this.#goOn(session);
  }

  upgrade(secured: (handle: Handle) => void): void {
    const door = defined(this.#options.door, "TLS is acknowledged where it is to be had");
    const plain = door.secure(this.#handle, { side: "server" });
    if (plain < 0) return this.shut(`TLS has no socket pair (${errnoName(plain)})`);
    this.#handle = plain;
    secured(plain);
  }

  aborted(): void {
    this.#end = { clean: true, reason: "the client said ABORT" };
    this.#stop();
  }

  disconnected(): void {
    this.finish("the client said DISC", { clean: true });
  }

  starved(of: Shared): void {
    if (of === "buffer") this.#options.counters.waited();
    this.#options.starved();
  }

  get waitsFor(): Shared | null {
    return this.#session?.waitsFor ?? null;
  }

  /** Ends it when its client has kept buffers or requests for long. */
  shutIfStalled(sinceMs: number): void {
    if (this.#session !== null && this.#session.stalledSinceMs <= sinceMs) {
      this.shut("the client holds buffers or requests that others wait for");
    }
  }

  /**
   * In transmission, and nothing is being received. One whose client said DISC does not count: what
   * was asked before that is done whether or not the client is still there.
   */
  get isUnread(): boolean {
    if (this.#session === null || this.#receive.busy) return false;
    return this.#state === "open" || (this.#state === "finishing" && !this.#end.clean);
  }

  /** Ends it when its client has gone, which a connection that stays unread is not told. */
  shutIfGone(): void {
    if (this.isUnread && this.#io.hasGone(this.#handle)) this.shut("the client has gone");
  }

  failed(reason: string): void {
    this.shut(reason);
  }

  deviceFailed(command: number, errno: number): void {
    const entry = defined(this.#negotiator.entry, "a device is an export's");
    const error = { exportName: entry.name, connection: this.id, command, errno };
    this.#options.errors.failed(error, this.#io.nowMs());
  }

  /** Looks whether the end has come; called whenever something ended. */
  progressed(): void {
    if (this.#state === "finishing" && (this.#session?.idle ?? true)) this.#stop();
    if (this.isUnread) this.#options.unread();
    if (this.#state !== "shut") return;
    if (!this.#quiescent && (this.#session?.quiescent ?? true)) this.#becomeQuiescent();
    if (!this.#quiescent || this.#receive.busy || this.#deadline.busy) return;
    if (this.#negotiator.busy || !(this.#session?.idle ?? true)) return;
    this.#state = "closed";
    this.#io.close(this.#handle);
    if (this.#counters !== null) this.#options.counters.removeConnection(this.#counters);
    this.#options.closed(this);
  }

  #becomeQuiescent(): void {
    this.#quiescent = true;
    if (this.#session === null) this.#options.counters.negotiationEnded();
    this.#negotiator.entry?.closed(this, this.#end);
    this.#options.gate.ended(this, this.#end);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }

  #received(): void {
    const { result, off } = this.#receive;
    if (result > 0) {
      if (this.#state === "open") this.#takeReceived(off, result);
      this.#io.buffers.release(off);
      if (this.#state !== "open") return this.progressed();
      if (this.#session !== null) this.#goOn(this.#session);
      return;
    }
    if (this.#state !== "open") return this.progressed();
    if (result < 0) return this.shut(`receiving failed (${errnoName(result)})`);
    if (this.#session?.betweenRequests && !this.#io.hasGone(this.#handle)) {
      return this.finish("the client closed without DISC", { clean: false });
    }
    this.shut("the client closed");
  }

  #goOn(session: Session): void {
    if (session.hungry) this.receiveMore();
    else if (this.isUnread) this.#options.unread();
  }

  #takeReceived(off: number, count: number): void {
    if (this.#session !== null) {
      const served = this.#atOnce?.serve(off, count) ?? 0;
      if (served < count) this.#session.take(this.#io, off + served, off + count);
      return;
    }
    this.#negotiator.take(this.#io.bytes.subarray(off, off + count));
  }

  #deadlinePassed(): void {
    if (this.#state === "open" && this.#session === null) {
      return this.shut("negotiation took too long");
    }
    this.progressed();
  }
}
