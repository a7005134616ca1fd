import type { Asker, Operation } from "../io/operation.ts";
import type { AllocationQuery, Transfer, ZeroRange } from "../io/io.ts";

/** What a device can do; asked once and turned into NBD flags and block sizes. */
export interface DeviceTraits {
  /** In bytes; fixed for as long as the device is open (a grown disk is a new device). */
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  readonly canDiscard: boolean;
  readonly canZero: boolean;
  /** A flush on any connection covers writes answered on all of them. */
  readonly flushCoversAll: boolean;
  /** Requests of other blocks are refused. */
  readonly minimumBlockBytes: number;
  /** What clients are told to use at least; when not given, that is the minimum itself. */
  readonly offeredBlockBytes?: number;
  /** At least 512, as NBD has it. */
  readonly preferredBlockBytes: number;
  /**
   * Its bytes are in memory, and it hands buffers to the Io without looking into them. What is
   * large is best done one by one, while it is in the processor's cache.
   */
  readonly inMemory?: boolean;
  /**
   * Who may read it may see what is written to it later, also after being shut out: replies may
   * take the file's own pages along, which stay readable in the client's socket. Never of a
   * volume, whose bytes are somebody else's one day.
   */
  readonly isOpenToAll?: boolean;
}

/** In bytes. */
export interface ByteRange {
  position: number;
  length: number;
}

/** Reads and writes that are done inside the call: the length, or a negated errno. */
export interface AtOnce {
  read(at: Transfer): number;
  /** Not durable, as a write without `fua`. */
  write(at: Transfer): number;
}

/**
 * Bytes in a range of positions. Every call ends by `operation.done` with a count (read, write:
 * the length; others: 0) or a negated errno, never inside the call itself. Calls may be under way
 * side by side; their order is the caller's concern. Positions are checked by the caller's layer
 * against `sizeBytes`; a device asserts them. `Transfer`, `ByteRange` and `ZeroRange` are copied
 * inside the call or modified by it: the caller may reuse but not rely on them afterwards.
 *
 * Hot path: no allocation, no promise, no throw for what a disk or peer did.
 */
export interface Device {
  readonly traits: DeviceTraits;
  /** Where reads and writes wait for nothing now: the same without an operation. */
  readonly atOnce?: AtOnce | null;
  read(operation: Operation, at: Transfer): void;
  /**
   * With `fua`, done means durable. What lies in a buffer of the arena is not changed by the caller
   * any more, only released: the device may keep it (`Buffers.keep`).
   */
  write(operation: Operation, at: Transfer, fua: boolean): void;
  /** Done means: every write that was done before this call is durable. */
  flush(operation: Operation): void;
  /** With `fua`, what it has done is durable; so is the range where it has done nothing. */
  discard(operation: Operation, at: ByteRange, fua: boolean): void;
  /** With `fast`: -EOPNOTSUPP at once where it would have to be written. */
  zero(operation: Operation, at: ZeroRange, fua: boolean): void;
  /** Advice: what lies there will be read soon. */
  readAhead(operation: Operation, position: number, length: number): void;
  /**
   * How a range that is not empty is allocated. Done with the number of runs written at `at.off`,
   * at least one; they begin at `at.position` and may end early, never late. A run is called zero
   * only where that is certain.
   */
  allocation(operation: Operation, at: AllocationQuery): void;
  /**
   * Who asked has gone: what only waits for it ends with ESHUTDOWN, what was begun runs to its
   * end. Only of devices that keep requests waiting for long.
   */
  letGo?(asker: Asker): void;
}
