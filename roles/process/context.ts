import type { DatabaseSync } from "node:sqlite";
import type { Datagrams, Endpoint } from "../../protocol/config/link.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { ProcessUsage } from "../../protocol/metrics/common.ts";
import type { Random } from "../../protocol/core/random.ts";

/**
 * What a role or command gets from the process it runs in, and all it may use of the operating
 * system. Roles are functions of (settings, process); tests and the simulator hand in others.
 */
export interface ProcessContext {
  /** dvsan's version, as in `dvsan --version`. */
  readonly version: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Aborts at SIGTERM, SIGINT or `stop()`, before the shutdown steps run. */
  readonly signal: AbortSignal;
  /** Resolves when `signal` aborts. A role ends with `await process.stopped`. */
  readonly stopped: Promise<void>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** URL of main.ts or of the bundle: for `new Worker(mainUrl)` and for `spawn`. */
  readonly mainUrl: string;
  readonly machine: Machine;
  readonly stdout: Terminal;
  readonly stderr: Terminal;

  /** What this process uses of its machine now. */
  usage(): ProcessUsage;
  /** Prints the one ready line on stdout: call it when the role can really serve. */
  ready(line: ReadyLine): void;
  /**
   * Something was acquired: `step` gives it back. Steps run one after another in reverse order
   * when the process stops for any reason; once it is stopping, `step` runs at once.
   */
  onShutdown(name: string, step: () => Promise<void> | void): void;
  /** Asks the process to stop as SIGTERM does. */
  stop(): void;
  /** Ends the process with status 1 after the shutdown steps: something it needs has failed. */
  fail(error: unknown): void;

  openDatagrams(options: DatagramOptions): Promise<CountedDatagrams>;
  /** Addresses of a host name, asked anew each time; a literal address is returned as it is. */
  resolve(host: string, signal?: AbortSignal): Promise<string[]>;
  /** Makes the directory when it is missing. With `lock`, this process is its only user. */
  openStateFiles(directory: string, options?: { readonly lock?: boolean }): StateFiles;
  /** Opens or makes a SQLite database: the one thing that does its own I/O. */
  openDatabase(path: string): DatabaseSync;
  /** A file named by the user; DvsanError "usage" when it cannot be read. */
  readFile(path: string): Uint8Array;
  /** A new temporary directory, removed with what is in it when the process stops. */
  makeTemporaryDirectory(): string;
  /** Makes a file of zeroes (sparse) of this size, for file-backed media. */
  makeSparseFile(path: string, sizeBytes: number): void;

  /** An HTTP server; it stops, requests under way included, with the process. */
  serveHttp(at: HttpPlace, handler: HttpHandler): HttpServer;
  /** An HTTP request; over the Unix socket at `socketPath` when there is one. */
  fetch(request: Request, options?: { readonly socketPath?: string }): Promise<Response>;
  /** A connected stream socket; DvsanError "unavailable" when nobody listens there. */
  connect(to: HttpPlace): Promise<ByteStream>;
  /** Starts `dvsan ARGUMENTS` as another process of the same program; killed when we stop. */
  spawn(options: SpawnOptions): ChildProcess;
}

export interface Terminal {
  /** Writes text and a line break. A closed pipe is not an error. */
  line(text: string): void;
  /** Writes text as it is: for progress bars. */
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Columns of the terminal; 80 when it is none. */
  readonly columns: number;
  /** Lines of the terminal; 24 when it is none or not there. */
  readonly rows?: number;
}

export interface Machine {
  /** Changes with every boot of the machine. */
  readonly bootId: string;
  /** Processors that this process may run on at the same time. */
  readonly processors: number;
  /** The host name made into a valid node name. */
  readonly nodeName: string;
  /** Every address of every interface; loopback ones last. */
  addresses(): string[];
}

export type ReadyLine =
  | { readonly ready: "station"; readonly control: string; readonly web: string }
  | {
    readonly ready: "unit";
    readonly id?: string;
    readonly name?: string;
    readonly nbd: string;
    readonly control?: string;
    readonly metrics?: string;
  }
  | {
    readonly ready: "host";
    readonly id: string;
    readonly name: string;
    readonly control: string;
    readonly metrics?: string;
  };

export interface DatagramOptions {
  /** A literal address; "0.0.0.0" or "::" for all. */
  readonly address: string;
  /** 0: the kernel chooses. */
  readonly port: number;
  /** Joins this multicast group on every interface where that can be done. */
  readonly multicast?: string;
}

export interface CountedDatagrams extends Datagrams {
  /** Packets that could not be sent, by whatever the network or a full buffer did. */
  readonly dropped: number;
  /** Addresses of the interfaces on which it is in the multicast group. */
  readonly groupOn: readonly string[];
}

export interface StateFiles {
  readonly directory: string;
  path(name: string): string;
  /** The bytes, or null when there is no such file. */
  read(name: string): Uint8Array | null;
  /** Durable and whole, or not at all, once it returns. Mode 0600. */
  write(name: string, bytes: Uint8Array): void;
  /** Harmless when there is none. */
  remove(name: string): void;
  /** Gives the lock back. */
  close(): void;
}

export interface ByteStream {
  /** Any amount of bytes, or null at the end of the stream. */
  read(): Promise<Uint8Array | null>;
  /** All of them. */
  write(bytes: Uint8Array): Promise<void>;
  /** Idempotent; a read under way ends. */
  close(): void;
}

export type HttpPlace = Endpoint | { readonly socketPath: string };
export type HttpHandler = (request: Request, peer: HttpPeer) => Response | Promise<Response>;

export interface HttpPeer {
  /** IP address of the other side; null on a Unix socket. */
  readonly address: string | null;
}

export interface HttpServer {
  /** Where it listens; null on a Unix socket. */
  readonly local: Endpoint | null;
  close(): Promise<void>;
}

export interface SpawnOptions {
  /** What follows `dvsan` on the command line. */
  readonly arguments: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly onStdoutLine?: (line: string) => void;
  readonly onStderrLine?: (line: string) => void;
  /** When we end, children are asked in turns, the lowest first; 0 when absent. */
  readonly endTurn?: number;
}

export interface ChildProcess {
  readonly processId: number;
  /** Harmless when it has ended. */
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** Exit status (128 + number for a signal), once it has ended and its output was read. */
  readonly status: Promise<number>;
}
