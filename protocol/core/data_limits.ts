import {
  ATTACH_TIMEOUT_MS,
  CLIENT_REPLY_TIMEOUT_MS,
  MEDIUM_OPEN_MS_MAX,
  NBD_CONNECTIONS_MAX,
  NBD_NEGOTIATING_MAX,
  NBD_NEGOTIATION_MS,
  NBD_STALL_MS,
  REPLAY_MEMORY_BYTES,
} from "./limits.ts";

/** Deadlines and caps of data connections, which an operator may set. */
export interface DataLimits {
  /** From a client's connect to its transmission, TLS included. */
  readonly handshakeTimeoutMs: number;
  /** Connections that have not come so far; the oldest makes room for a new one. */
  readonly handshakesMax: number;
  /** Of a unit or of exports that stand alone, all together. */
  readonly connectionsMax: number;
  /**
   * Of one export. Null: CONNECTIONS_PER_GRANT_MAX of a granted volume, DISK_CONNECTIONS_MAX of a
   * host's disk, and all of them of an export that stands alone.
   */
  readonly exportConnectionsMax: number | null;
  /** How long a client may keep buffers or requests that others wait for. */
  readonly stallTimeoutMs: number;
  /** One try of a host to attach to a unit. */
  readonly attachTimeoutMs: number;
  /** A unit that is silent for so long while it has a host's requests is left. */
  readonly replyTimeoutMs: number;
  /**
   * A unit goes on without a medium whose label takes longer to be read; or, when it opens its
   * media anew, to be written.
   */
  readonly mediumTimeoutMs: number;
  /** What a host keeps of writes that were acknowledged and not flushed yet, for all its disks. */
  readonly replayMemoryBytes: number;
}

export const DATA_LIMITS: DataLimits = {
  handshakeTimeoutMs: NBD_NEGOTIATION_MS,
  handshakesMax: NBD_NEGOTIATING_MAX,
  connectionsMax: NBD_CONNECTIONS_MAX,
  exportConnectionsMax: null,
  stallTimeoutMs: NBD_STALL_MS,
  attachTimeoutMs: ATTACH_TIMEOUT_MS,
  replyTimeoutMs: CLIENT_REPLY_TIMEOUT_MS,
  mediumTimeoutMs: MEDIUM_OPEN_MS_MAX,
  replayMemoryBytes: REPLAY_MEMORY_BYTES,
};
