import { DvsanError } from "../../protocol/core/errors.ts";
import type { Log } from "../../protocol/core/log.ts";
import { Errno, errnoName } from "../io/errno.ts";
import type { Handle, Io, SocketAddress } from "../io/io.ts";
import { Operation } from "../io/operation.ts";
import type { ServerConnection } from "./server_connection.ts";
import type { ExportGate } from "./server_types.ts";

interface ListenerOptions {
  readonly io: Io;
  readonly handle: Handle;
  /** Null for a Unix socket. */
  readonly address: SocketAddress | null;
  readonly log: Log;
  /** Decides what who comes in may open. */
  readonly gate: ExportGate;
  readonly accepted: (socket: Handle, gate: ExportGate) => void;
  readonly closed: () => void;
}

/** After a failed accept (no descriptors, no memory) the next one waits this long. */
const ACCEPT_RETRY_MS = 100;

/** One listening socket of an NbdServer, and the connections that came in by it. */
export class NbdListener {
  /** Where it listens; null for a Unix socket. */
  readonly address: SocketAddress | null;
  /** Open connections; the server keeps this. */
  readonly connections = new Set<ServerConnection>();
  readonly #options: ListenerOptions;
  readonly #accept = new Operation(() => this.#accepted());
  readonly #retry = new Operation(() => this.start());
  #gate: ExportGate;
  #open = true;
  #paused = false;
  /** The last accept has failed, and that was said. */
  #failing = false;
  #whenEmpty: (() => void)[] = [];

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.address = options.address;
    this.#gate = options.gate;
  }

  start(): void {
    if (!this.#open || this.#paused) return;
    this.#options.io.accept(this.#accept, this.#options.handle);
  }

  /** Lets nobody in for a while: who comes waits. The port stays its own, which nobody can take. */
  pause(): void {
    this.#paused = true;
    this.#options.io.cancel(this.#accept);
    this.#options.io.cancel(this.#retry);
  }

  /** Lets in by this gate who has come since `pause`, and who comes. */
  resume(gate: ExportGate): void {
    this.#gate = gate;
    if (!this.#paused) return;
    this.#paused = false;
    // What is being cancelled yet starts it when it has ended.
    if (!this.#accept.busy && !this.#retry.busy) this.start();
  }

  /** Stops listening; its connections go on. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const { io, handle } = this.#options;
    io.cancel(this.#accept);
    io.cancel(this.#retry);
    io.close(handle);
    this.#options.closed();
  }

  /** Answers what is outstanding on its connections, then closes them and calls `empty`. */
  drain(empty: () => void): void {
    this.close();
    for (const connection of [...this.connections]) {
      connection.finish("the export is being closed", { clean: true });
    }
    this.#whenNoneLeft(empty);
  }

  /** Shuts its connections; `empty` is called when all operations of all of them have ended. */
  shutAll(reason: string, empty: () => void): void {
    this.close();
    for (const connection of [...this.connections]) connection.shut(reason);
    this.#whenNoneLeft(empty);
  }

  /** For the server: a connection has closed. */
  removed(connection: ServerConnection): void {
    this.connections.delete(connection);
    if (this.connections.size > 0) return;
    const waiting = this.#whenEmpty;
    this.#whenEmpty = [];
    for (const run of waiting) run();
  }

  #whenNoneLeft(empty: () => void): void {
    if (this.connections.size === 0) empty();
    else this.#whenEmpty.push(empty);
  }

  #accepted(): void {
    const { io, log } = this.#options;
    const socket = this.#accept.result;
    if (!this.#open || this.#paused) {
      if (socket >= 0) io.close(socket);
      return;
    }
    if (socket === -Errno.ECANCELED) return this.start();
    if (socket < 0) {
      // Once, however long it lasts: it may be tried anew ten times a second.
      if (!this.#failing) {
        log.warn("A connection could not be accepted", { error: errnoName(socket) });
      }
      this.#failing = true;
      io.timer(this.#retry, ACCEPT_RETRY_MS);
      return;
    }
    this.#failing = false;
    this.#options.accepted(socket, this.#gate);
    this.start();
  }
}

/** For people. */
export function cannotListen({ address, port }: SocketAddress, errno: number): DvsanError {
  const where = `Cannot listen for NBD on ${
    address.includes(":") ? `[${address}]` : address
  }:${port}`;
  if (-errno === Errno.EADDRINUSE) {
    return new DvsanError(
      "busy",
      `${where}: another process has it. Stop that process or choose another --nbd address.`,
    );
  }
  const reason = -errno === Errno.EADDRNOTAVAIL
    ? "this machine does not have that address"
    : errnoName(errno);
  return new DvsanError("io", `${where}: ${reason}. Choose another --nbd address.`);
}
