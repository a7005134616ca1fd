import type { Operation } from "./operation.ts";

/** A byte offset into the arena of an Io. Code knows offsets, never addresses. */
export type Off = number;

/** An open kernel object. Carries a generation: a closed one never names a later object. */
export type Handle = number;

/** TCP address in text: "127.0.0.1" or "::1", and a port. */
export interface SocketAddress {
  readonly address: string;
  readonly port: number;
}

export interface MediumOpenOptions {
  readonly path: string;
  readonly readOnly: boolean;
  /** Exclusive use: O_EXCL on a block device, flock on a file. `-EBUSY` when somebody has it. */
  readonly exclusive: boolean;
  /**
   * Past the page cache (O_DIRECT): offsets, lengths and positions must then be multiples of the
   * logical block. When not given, block devices are opened so where their transfers need not
   * block the loop (uring), and files are not.
   */
  readonly direct?: boolean;
}

/** What the kernel says about an open medium. */
export interface MediumGeometry {
  readonly kind: "file" | "block";
  readonly sizeBytes: number;
  readonly logicalBlockBytes: number;
  readonly physicalBlockBytes: number;
  /** Another one when its device was out and is back; null where the system does not tell. */
  readonly incarnation?: string | null;
}

export interface ArenaOptions {
  /** Buffers of each size class; see storage/io/buffers.ts. */
  readonly classes: readonly { readonly bytes: number; readonly count: number }[];
  /** Buffers of RECEIVE_BUFFER_BYTES that `receive` alone uses; RECEIVE_BUFFERS when not given. */
  readonly receiveBuffers?: number;
}

/**
 * The kernel seam (data-path.md §2). Every operation that may block goes through it. A result is a
 * count (or a Handle, for accept and connect) or a negated Linux errno, in every implementation.
 * Results are queued and `operation.done` is called after the reap, inside `turn()`, never inside
 * the submitting call. Submitting a busy operation is a bug (assert).
 *
 * Media operations run to their end and cannot be cancelled; sockets and timers can, and then end
 * with -ECANCELED (or with what they had already become).
 */
export interface Io {
  readonly kind: "uring" | "epoll" | "sim";
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Pools of arena buffers in size classes, with first-come-first-served waiting. */
  readonly buffers: Buffers;

  /** Monotonic milliseconds (fractional), read once a turn. */
  nowMs(): number;
  /**
   * The same, for what is done for each request: a fraction that a function answers, or is handed,
   * is garbage wherever the compiler does not put that function into its caller.
   */
  readonly timeMs: number;
  /**
   * The same, read again after each transfer of a medium that was done inside a call: what tells
   * how long requests took. A turn that serves many of them takes long itself.
   */
  readonly preciseMs: number;

  // Cold and synchronous: a Handle or count, or a negated errno.
  listenTcp(at: SocketAddress, options: { backlog: number }): Handle;
  /** Binds aside and renames into place, mode 0600; an existing socket at the path is replaced. */
  listenUnix(path: string, options: { backlog: number }): Handle;
  localAddress(handle: Handle): SocketAddress;
  peerAddress(handle: Handle): SocketAddress;
  openMedium(options: MediumOpenOptions): Handle;
  geometry(handle: Handle): MediumGeometry;
  /**
   * What tells this very device or file from a copy of it and stays when its name changes, in
   * words; null when the system knows nothing of the kind.
   */
  identity(handle: Handle): string | null;
  /** A connected pair of stream sockets, as file descriptors (for the TLS worker and tests). */
  socketPair(): [Handle, Handle];
  /** Takes ownership of a file descriptor of this process. */
  adopt(fileDescriptor: number): Handle;
  /** Gives the file descriptor up; no operation may be under way on it. */
  detach(handle: Handle): number;
  /** For sockets: stops both directions now; operations under way end. Returns 0 or an errno. */
  shutdown(handle: Handle): number;
  /**
   * Of sockets: the peer takes nothing any more, so that nobody can be told anything. A Unix
   * socket's has closed its end or shut it both ways; TCP knows only once a reset has come. There
   * may be bytes of it yet that were not received.
   */
  hasGone(handle: Handle): boolean;
  /** Closes once every operation on it ended; the Handle is dead from this call on. */
  close(handle: Handle): void;

  // Sockets. A stream has at most one receive and one send under way (assert).
  accept(operation: Operation, listener: Handle): void;
  /** Result: a Handle. */
  connectTcp(operation: Operation, to: SocketAddress): void;
  connectUnix(operation: Operation, path: string): void;
  /**
   * Any amount, into a buffer of class `RECEIVE_BUFFER_BYTES` that the Io chooses only once bytes
   * are there: an idle peer holds none. Result: count (0 at the end of the stream), and
   * `operation.off` is the buffer, which the receiver gives back with `buffers.release`. At a
   * result of 0 or an errno there is no buffer. With `lengthMax` at most so much is taken, and is
   * presumed to be there already.
   */
  receive(operation: Operation, handle: Handle, lengthMax?: number): void;
  /**
   * Exactly `length` bytes; fewer only at the end of the stream or an errno. With `aside` they may
   * stay with the kernel: see `Transfer`.
   */
  receiveExactly(
    operation: Operation,
    handle: Handle,
    off: Off,
    length: number,
    aside?: boolean,
  ): void;
  /** All of it, or an errno. Never raises SIGPIPE. */
  send(operation: Operation, handle: Handle, off: Off, length: number): void;
  /**
   * All segments in order as one gathered send, or an errno. `segments` holds pairs of (Off,
   * length); the first `count` pairs are copied inside the call.
   */
  sendGathered(
    operation: Operation,
    handle: Handle,
    segments: Float64Array,
    count: number,
  ): void;

  /**
   * Sends, inside the call, what the socket takes without waiting: a count, or a negated errno
   * (-EAGAIN when it takes nothing now). No other send may be under way.
   */
  sendAtOnce(handle: Handle, off: Off, length: number): number;

  /**
   * Tells that one receive on `handle` has brought `count` requests; or replies, and then also how
   * many more are awaited. A turn that then has nothing to do may wait until there are several,
   * rather than receive each by itself, or not look for more of them.
   */
  brought(handle: Handle, count: number): void;

  // Media. Positions and lengths in bytes, safe integers. Short counts are retried inside: the
  // result is `length`, or an errno (-EIO for an unexpected end).
  read(operation: Operation, handle: Handle, at: Transfer): void;
  /** With `fua` the data is durable before the operation is done (RWF_DSYNC). */
  write(operation: Operation, handle: Handle, at: Transfer, fua: boolean): void;
  /** fdatasync. */
  sync(operation: Operation, handle: Handle): void;
  /**
   * Gives space back; content afterwards is undefined on devices, zero on files. -EOPNOTSUPP
   * where the medium cannot.
   */
  discard(operation: Operation, handle: Handle, position: number, length: number): void;
  /**
   * Zeroes. `mayDiscard` allows a hole; otherwise space stays allocated. With `fast` nothing is
   * written: -EOPNOTSUPP, and nothing is changed, where the medium cannot do it by itself.
   */
  zero(operation: Operation, handle: Handle, at: ZeroRange): void;
  /** Its bytes are in memory and nowhere else: transfers wait for nothing. */
  isInMemory(handle: Handle): boolean;
  /** Of such a medium, inside the call: the length, or a negated errno. */
  readAtOnce(handle: Handle, at: Transfer): number;
  writeAtOnce(handle: Handle, at: Transfer): number;
  /** The byte at `off` stayed with the kernel: what the arena has there is something else. */
  isAside(off: Off): boolean;
  /** Brings a range near for reads to come. Advice: 0 also where nothing comes of it. */
  readAhead(operation: Operation, handle: Handle, position: number, length: number): void;
  /**
   * Lets go of what the kernel keeps in memory of the medium and takes for written: later reads
   * come from the device. What is not written yet stays, so a sync comes first. Advice: 0 also
   * where nothing comes of it.
   */
  dropCache(operation: Operation, handle: Handle): void;
  /**
   * How a range is allocated, as runs from its beginning. Result: how many runs were written at
   * `off`, at least one; together they may be shorter than what was asked for, never longer. What
   * the medium does not tell counts as data.
   */
  allocation(operation: Operation, handle: Handle, at: AllocationQuery): void;

  // Control.
  timer(operation: Operation, delayMs: number): void;
  /** Asks a timer or socket operation to end. Idempotent; harmless when it is not busy. */
  cancel(operation: Operation): void;
  /** A file descriptor that, written to (eventfd), ends a waiting turn. */
  readonly wakeFd: number;
  /** Called in a turn after `wakeFd` was written to. */
  onWake(run: () => void): void;
  /**
   * Runs `task.run` once, after the results of the turn under way were delivered and before the
   * next submission to the kernel; asked for outside a turn, at the start of the next one, which
   * then does not wait. Asking again while `task.queued` changes nothing. It exists so that all
   * replies that become ready in one turn leave in one send.
   */
  atTurnEnd(task: TurnTask): void;
  /** Submit, wait at most `maxWaitMs` (0: do not wait), reap, run what is done. */
  turn(maxWaitMs: number): void;
  /** Closes everything; waits for media operations under way. The Io is dead afterwards. */
  destroy(): void;
}

/**
 * A reusable description of a transfer; copied inside the call. One object for each caller, never
 * one for each request.
 */
export interface Transfer {
  off: Off;
  length: number;
  position: number;
  /**
   * Of reads, and in the same way of receives: nobody looks at the bytes. They may stay with the
   * kernel in place of the arena, until the buffer is released, and whoever sends or writes them
   * through the Io does not see a difference. What is read so and sent may show what is written to
   * the medium before the peer takes it.
   */
  aside?: boolean;
}

export interface ZeroRange {
  position: number;
  length: number;
  mayDiscard: boolean;
  fast: boolean;
}

/** Copied inside the call. The range is not empty and is shorter than 4 GiB. */
export interface AllocationQuery {
  position: number;
  length: number;
  /**
   * Where the runs go: 8 bytes each, as NBD's status descriptors (length and STATE flags, 32 bits
   * each, big-endian), so that they travel as they are.
   */
  off: Off;
  countMax: number;
}

/** Arena buffers (storage/io/buffers.ts implements it for every Io). */
export interface Buffers {
  /** A buffer of at least `length` bytes, or -1 when none is free now (for this user). */
  take(length: number, user?: BufferUser): Off;
  /** Runs `waiter.run` with a buffer in order of asking, at once if one is free. */
  wait(length: number, waiter: BufferWaiter, user?: BufferUser): void;
  /** Withdraws a waiter that has not run yet. */
  withdraw(waiter: BufferWaiter): void;
  release(off: Off): void;
  /**
   * Keeps the bytes around `within`, in a taken buffer, as they are until as many `unkeep`s, also
   * after its release; it is then no user's any more. False when that cannot be, or is not worth
   * it for `length` bytes: half of a class can be kept, so that there are always some to take.
   */
  keep(within: Off, length: number): boolean;
  unkeep(within: Off): void;
  /** The true size of the buffer at `off`. */
  sizeOf(off: Off): number;
  /** That are not free. */
  readonly taken: number;
}

export interface BufferWaiter {
  run(off: Off): void;
}

/**
 * Somebody who may come to hold buffers for long: a client, or a disk whose unit is away. A user is
 * given no buffer of a size when it holds as many as are free. So one holds half of them at most,
 * two a third each, and those who hold none find one. `Buffers` keeps the counts, by size class.
 */
export class BufferUser {
  readonly held: number[] = [];
}

/** Work for the end of a turn; `queued` belongs to the Io, which clears it before `run`. */
export interface TurnTask {
  queued: boolean;
  run(): void;
}

export const RECEIVE_BUFFER_BYTES = 64 * 1024;
