import {
  NBD_CONNECTIONS_MAX,
  NBD_GONE_LOOK_MS,
  NBD_NEGOTIATING_MAX,
  NBD_STALL_MS,
} from "../../protocol/core/limits.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { CounterRow } from "../counters/row.ts";
import type { CounterTable } from "../counters/table.ts";
import { errnoName } from "../io/errno.ts";
import { BufferUser, type Handle, type Io, type SocketAddress } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import { DeviceErrors } from "./device_errors.ts";
import { ServerConnection } from "./server_connection.ts";
import { ServerCounters } from "./server_counters.ts";
import { cannotListen, NbdListener } from "./server_listener.ts";
import { RequestPool } from "./server_request.ts";
import type { TlsDoor } from "../tls/door.ts";
import type { ExportGate } from "./server_types.ts";

export interface NbdServerOptions {
  readonly io: Io;
  readonly log: Log;
  /** Where it counts, and the row of its own; read by nobody when not given. */
  readonly counters?: { readonly table: CounterTable; readonly row: CounterRow };
  /**
   * All connections together count as one when buffers are shared out (a disk whose consumers wait
   * for its unit); when not given, each counts by itself.
   */
  readonly bufferUser?: BufferUser;
  /** All servers that share these buffers; it puts itself in, and takes itself out. */
  readonly neighbours?: Set<NbdServer>;
  /** For tests; otherwise as protocol/core/limits.ts has it. */
  readonly limits?: Partial<ServerLimits>;
}

export interface ServerLimits {
  readonly connectionsMax: number;
  /** Connections that have not reached transmission. */
  readonly negotiatingMax: number;
  readonly negotiationMs: number;
  readonly requestsMax: number;
  readonly stallMs: number;
  readonly goneLookMs: number;
}

/**
 * NBD for any number of listeners, TCP and Unix, each with the gate that decides what its clients
 * may open. One server for each data worker; all its connections share one pool of requests.
 */
export class NbdServer {
  readonly counters: ServerCounters;
  readonly #io: Io;
  readonly #log: Log;
  readonly #limits: Partial<ServerLimits>;
  readonly #stallMs: number;
  readonly #bufferUser: BufferUser | null;
  readonly #neighbours: Set<NbdServer>;
  readonly #pool: RequestPool;
  readonly #errors: DeviceErrors;
  readonly #connections = new Set<ServerConnection>();
  /** Shut and not closed yet: what they wait for keeps nobody out. */
  readonly #leaving = new Set<ServerConnection>();
  readonly #listeners = new Set<NbdListener>();
  readonly #stallTimer = new Operation(() => this.#sweep());
  readonly #goneTimer = new Operation(() => this.#lookAgain());
  #whenEmpty: (() => void)[] = [];

  /** Throws DvsanError when no buffers are free. */
  constructor(options: NbdServerOptions) {
    this.#io = options.io;
    this.#log = options.log;
    this.#errors = new DeviceErrors(options.log);
    this.counters = new ServerCounters(options.counters);
    this.#limits = options.limits ?? {};
    this.#stallMs = this.#limits.stallMs ?? NBD_STALL_MS;
    this.#bufferUser = options.bufferUser ?? null;
    this.#neighbours = options.neighbours ?? new Set();
    this.#pool = new RequestPool(options.io, options.limits?.requestsMax);
    this.#neighbours.add(this);
  }

  /**
   * Port 0: the kernel chooses; `NbdListener.address` says which. Its connections are secured by
   * `door`, as that demands. Throws DvsanError.
   */
  listenTcp(at: SocketAddress, gate: ExportGate, door?: TlsDoor): NbdListener {
    const handle = this.#io.listenTcp(at, { backlog: BACKLOG });
    if (handle < 0) throw cannotListen(at, handle);
    return this.#listener(handle, { gate, door, address: this.#io.localAddress(handle) });
  }

  /** An existing socket at the path is replaced. Throws DvsanError. */
  listenUnix(path: string, gate: ExportGate): NbdListener {
    const handle = this.#io.listenUnix(path, { backlog: BACKLOG });
    if (handle < 0) {
      throw new DvsanError(
        "io",
        `Cannot make the socket "${path}" (${errnoName(handle)}). Choose another place for it.`,
      );
    }
    return this.#listener(handle, { gate, door: undefined, address: null });
  }

  /** Serves a connected socket, which the server owns from now on. */
  serve(handle: Handle, gate: ExportGate, peer: SocketAddress | null): ServerConnection | null {
    return this.#accept(handle, { gate, peer, listener: null });
  }

  /** Stops listening; connections go on. */
  closeListeners(): void {
    for (const listener of [...this.#listeners]) listener.close();
  }

  /** Answers what is outstanding, reads nothing more, closes; then calls `empty`. */
  drain(empty: () => void): void {
    this.closeListeners();
    for (const connection of [...this.#connections]) {
      connection.finish("the server is stopping", { clean: true });
    }
    this.#whenNoneLeft(empty);
  }

  /** Shuts every connection; `empty` is called when all operations of all of them have ended. */
  shutAll(reason: string, empty: () => void): void {
    this.closeListeners();
    this.pause(reason, empty);
  }

  /** As `shutAll`, but its ports stay its own: who comes waits for `resume`. */
  pause(reason: string, empty: () => void): void {
    for (const listener of this.#listeners) listener.pause();
    for (const connection of [...this.#connections]) connection.shut(reason);
    this.#whenNoneLeft(empty);
  }

  /** Lets in by this gate who has come since `pause`, and who comes. */
  resume(gate: ExportGate): void {
    for (const listener of this.#listeners) listener.resume(gate);
  }

  /** Gives its memory back. All connections must have ended (`drain` or `shutAll`). */
  close(): void {
    this.closeListeners();
    this.#io.cancel(this.#stallTimer);
    this.#io.cancel(this.#goneTimer);
    this.#pool.close();
    this.#neighbours.delete(this);
  }

  #whenNoneLeft(empty: () => void): void {
    if (this.#connections.size === 0) empty();
    else this.#whenEmpty.push(empty);
  }

  #listener(
    handle: Handle,
    { gate, door, address }: {
      gate: ExportGate;
      door: TlsDoor | undefined;
      address: SocketAddress | null;
    },
  ): NbdListener {
    const listener: NbdListener = new NbdListener({
      io: this.#io,
      handle,
      address,
      log: this.#log,
      gate,
      accepted: (socket, gate) => {
        const peer = address === null ? null : this.#io.peerAddress(socket);
        return this.#accept(socket, { gate, peer, listener, door });
      },
      closed: () => this.#listeners.delete(listener),
    });
    this.#listeners.add(listener);
    listener.start();
    return listener;
  }

  #accept(
    handle: Handle,
    { gate, peer, listener, door }: {
      gate: ExportGate;
      peer: SocketAddress | null;
      listener: NbdListener | null;
      door?: TlsDoor | undefined;
    },
  ): ServerConnection | null {
    const { counters } = this;
    const connectionsMax = this.#limits.connectionsMax ?? NBD_CONNECTIONS_MAX;
    // However few connections there may be, half of them are out of strangers' reach.
    const negotiatingMax = Math.min(
      this.#limits.negotiatingMax ?? NBD_NEGOTIATING_MAX,
      Math.ceil(connectionsMax / 2),
    );
    const isFull = () => counters.connections - this.#leaving.size >= connectionsMax;
    if (isFull()) this.#shutGone();
    if (isFull() || counters.negotiating >= negotiatingMax) this.#turnOldestAway();
    if (isFull() || counters.negotiating >= negotiatingMax) {
      counters.turnAway();
      this.#io.close(handle);
      return null;
    }
    const connection = new ServerConnection({
      id: counters.opened(),
      io: this.#io,
      handle,
      peer,
      gate,
      pool: this.#pool,
      counters,
      bufferUser: this.#bufferUser ?? new BufferUser(),
      log: this.#log,
      errors: this.#errors,
      ...(this.#limits.negotiationMs === undefined
        ? {}
        : { negotiationMs: this.#limits.negotiationMs }),
      ...(door === undefined ? {} : { door }),
      starved: () => this.#watch(),
      unread: () => this.#watchUnread(),
      leaving: (shut) => this.#leaving.add(shut),
      closed: (over) => this.#closed(over, listener),
    });
    this.#connections.add(connection);
    listener?.connections.add(connection);
    connection.start();
    return connection;
  }

  /** Strangers who say nothing must not keep out who has something to say. */
  #turnOldestAway(): void {
    for (const connection of this.#connections) {
      if (!connection.isNegotiating) continue;
      this.counters.turnAway();
      return connection.shut("others want to come in");
    }
  }

  #watch(): void {
    if (!this.#stallTimer.busy) this.#io.timer(this.#stallTimer, this.#stallMs);
  }

  /** Cuts off who keeps buffers or requests, if somebody still waits for one. */
  #sweep(): void {
    const waits = new Set([...this.#connections].map(({ waitsFor }) => waitsFor));
    waits.delete(null);
    if (this.#stallTimer.result < 0 || waits.size === 0) return;
    const sinceMs = this.#io.nowMs() - this.#stallMs;
    const keepers = waits.has("buffer") ? [...this.#neighbours] : [this];
    for (const server of keepers) server.#shutStalled(sinceMs);
    this.#watch();
  }

  #shutStalled(sinceMs: number): void {
    for (const one of [...this.#connections]) one.shutIfStalled(sinceMs);
  }

  #watchUnread(): void {
    if (this.#goneTimer.busy) return;
    this.#io.timer(this.#goneTimer, this.#limits.goneLookMs ?? NBD_GONE_LOOK_MS);
  }

  #lookAgain(): void {
    if (this.#goneTimer.result >= 0 && this.#shutGone()) this.#watchUnread();
  }

  /** Ends those whose clients left while they stayed unread; whether others are unread yet. */
  #shutGone(): boolean {
    let areUnread = false;
    for (const connection of [...this.#connections]) {
      connection.shutIfGone();
      if (connection.isUnread) areUnread = true;
    }
    return areUnread;
  }

  #closed(connection: ServerConnection, listener: NbdListener | null): void {
    this.counters.closed();
    this.#connections.delete(connection);
    this.#leaving.delete(connection);
    listener?.removed(connection);
    if (this.#connections.size > 0) return;
    const waiting = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const run of waiting) run();
  }
}

const BACKLOG = 128;
