import type { SocketAddress } from "../io/io.ts";
import type { CounterRow } from "../counters/row.ts";
import type { Device } from "../devices/device.ts";
import type { Asker } from "../io/operation.ts";

/**
 * What the NBD server asks about exports. `StandaloneExports` answers for plain names; the grants'
 * gate answers for volumes. One gate serves all connections of a server.
 */
export interface ExportGate {
  /** Names for LIST: stand-alone exports only, never a grant. */
  list(): readonly string[];
  /** For INFO, GO and EXPORT_NAME; nothing is opened by it. */
  find(connection: GateConnection, name: string): ExportEntry | ExportRefusal;
  /**
   * An option that the protocol does not define (from 0x64560000 on). Call `answer` once, now or
   * later; nothing more is read from that client until then. After the connection ended an answer
   * is ignored.
   */
  privateOption(
    connection: GateConnection,
    request: PrivateOption,
    answer: (answer: OptionAnswer) => void,
  ): void;
  /**
   * The connection is over and quiescent: nothing of it is under way on any device. Called once
   * for every connection, after its `ExportEntry.closed`.
   */
  ended(connection: GateConnection, how: ConnectionEnd): void;
}

export interface PrivateOption {
  readonly option: number;
  readonly payload: Uint8Array;
}

export interface ExportEntry {
  /** What logs call it. Not always what was asked for: that may be "", or a secret. */
  readonly name: string;
  readonly device: Device;
  /** Of the export: each connection counts for itself and, once it is over, for this. */
  readonly counters: CounterRow;
  /** Who may ask: each connection puts itself in, and takes itself out when it submits no more. */
  readonly askers?: Set<Asker>;
  /** GO was accepted: requests may follow. */
  opened(connection: GateConnection): void;
  /** Nothing more is under way or will be. Called once if `opened` was. */
  closed(connection: GateConnection, how: ConnectionEnd): void;
}

export interface ExportRefusal {
  /** REPLY_ERROR or a private error reply type. */
  readonly refused: number;
  /** For people; it travels to the client. */
  readonly text: string;
}

export type OptionAnswer =
  | { readonly kind: "answer"; readonly payload: Uint8Array }
  | { readonly kind: "refused"; readonly type: number; readonly text: string };

/** How a connection ended. */
export interface ConnectionEnd {
  /** True after DISC or ABORT, or when the server drained it; false: lost, or shut down. */
  readonly clean: boolean;
  readonly reason: string;
}

/** What a gate may know of a connection and do to it. */
export interface GateConnection {
  /** Rising; never used again by the same server. */
  readonly id: number;
  /** Null for Unix sockets. */
  readonly peer: SocketAddress | null;
  /** Its socket is shut or gone, though what it submitted may still be under way. */
  readonly isOver: boolean;
  /**
   * Ends the connection now: shuts its socket, drops what was received and not yet submitted, and
   * submits nothing more to its device. `quiescent` is called once every operation that was
   * submitted before has ended; at once (inside this call) when there is none. May be called more
   * than once; each call's callback is run.
   */
  shut(reason: string, quiescent?: () => void): void;
}
