import {
  CONNECTION_TIMEOUT_MS_MAX,
  CONNECTION_TIMEOUT_MS_MIN,
  CONNECTIONS_CEILING,
  CONNECTIONS_PER_GRANT_MAX,
  DISK_CONNECTIONS_MAX,
  REPLAY_MEMORY_BYTES_MIN,
} from "../../protocol/core/limits.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { DATA_LIMITS, type DataLimits } from "../../protocol/core/data_limits.ts";
import type { Given } from "../process/commands.ts";
import { countFlag, durationFlag, memoryFlag, withDefault } from "../process/flags.ts";
import { formatSize } from "../process/sizes.ts";

/** Deadlines and caps of data connections: flags of units and hosts, and of each alone. */

const TIMES = { least: CONNECTION_TIMEOUT_MS_MIN, most: CONNECTION_TIMEOUT_MS_MAX };
const COUNTS = { least: 1, most: CONNECTIONS_CEILING };

const SHARED = {
  "handshake-timeout": withDefault(
    durationFlag("How long a client has to come through the NBD handshake, TLS included", TIMES),
    milliseconds(DATA_LIMITS.handshakeTimeoutMs),
  ),
  "max-handshakes": withDefault(
    countFlag("Connections within the handshake; the oldest makes room for another", COUNTS),
    String(DATA_LIMITS.handshakesMax),
  ),
  "stall-timeout": withDefault(
    durationFlag("How long a client may keep buffers or requests that others wait for", TIMES),
    milliseconds(DATA_LIMITS.stallTimeoutMs),
  ),
};

export const UNIT_LIMIT_FLAGS = {
  ...SHARED,
  "max-connections": withDefault(
    countFlag("Connections of all clients together; more are turned away", COUNTS),
    String(DATA_LIMITS.connectionsMax),
  ),
  "max-export-connections": countFlag(
    `Connections of one export (default ${CONNECTIONS_PER_GRANT_MAX} of a granted volume, ` +
      "no fewer than all with --export)",
    COUNTS,
  ),
  "medium-timeout": withDefault(
    durationFlag("A medium whose label takes longer to be read is left out", TIMES),
    milliseconds(DATA_LIMITS.mediumTimeoutMs),
  ),
};

export const HOST_LIMIT_FLAGS = {
  ...SHARED,
  "max-export-connections": withDefault(
    countFlag("Connections to one disk's socket; more are turned away", COUNTS),
    String(DISK_CONNECTIONS_MAX),
  ),
  "attach-timeout": withDefault(
    durationFlag("How long one try to attach to a unit may take", TIMES),
    milliseconds(DATA_LIMITS.attachTimeoutMs),
  ),
  "reply-timeout": withDefault(
    durationFlag("A unit that is silent for so long under requests is left", TIMES),
    milliseconds(DATA_LIMITS.replyTimeoutMs),
  ),
  "replay-memory": withDefault(
    memoryFlag("What is kept of writes that no flush has covered yet, for all disks", {
      least: REPLAY_MEMORY_BYTES_MIN,
    }),
    formatSize(DATA_LIMITS.replayMemoryBytes),
  ),
};

export function unitLimits({ flags, origin }: Given<typeof UNIT_LIMIT_FLAGS>): DataLimits {
  const connectionsMax = flags["max-connections"];
  const exportConnectionsMax = flags["max-export-connections"];
  // The server gives strangers half of the connections at most; more is not to be asked for.
  const isAsked = origin("max-handshakes") !== "default";
  if (isAsked && flags["max-handshakes"] >= connectionsMax) {
    throw usage(
      `Cannot use --max-handshakes ${flags["max-handshakes"]} with --max-connections ` +
        `${connectionsMax}: strangers could keep everybody out. Give fewer handshakes.`,
    );
  }
  if (exportConnectionsMax !== null && exportConnectionsMax > connectionsMax) {
    throw usage(
      `Cannot use --max-export-connections ${exportConnectionsMax}: there are ` +
        `${connectionsMax} for all exports. Give more --max-connections too.`,
    );
  }
  return {
    ...DATA_LIMITS,
    ...sharedLimits(flags),
    connectionsMax,
    exportConnectionsMax,
    mediumTimeoutMs: flags["medium-timeout"],
  };
}

export function hostLimits({ flags }: Given<typeof HOST_LIMIT_FLAGS>): DataLimits {
  return {
    ...DATA_LIMITS,
    ...sharedLimits(flags),
    exportConnectionsMax: flags["max-export-connections"],
    attachTimeoutMs: flags["attach-timeout"],
    replyTimeoutMs: flags["reply-timeout"],
    replayMemoryBytes: flags["replay-memory"],
  };
}

function sharedLimits(flags: Given<typeof SHARED>["flags"]) {
  return {
    handshakeTimeoutMs: flags["handshake-timeout"],
    handshakesMax: flags["max-handshakes"],
    stallTimeoutMs: flags["stall-timeout"],
  };
}

/** As a user would write it. */
function milliseconds(durationMs: number): string {
  return durationMs % 1000 === 0 ? `${durationMs / 1000}s` : `${durationMs}ms`;
}

function usage(message: string): DvsanError {
  return new DvsanError("usage", message);
}
