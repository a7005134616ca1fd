import type { DataLimits } from "../../protocol/core/data_limits.ts";
import { CONNECTIONS_PER_GRANT_MAX, DISK_CONNECTIONS_MAX } from "../../protocol/core/limits.ts";
import type { ServerLimits } from "../nbd/server.ts";

/** What the operator's deadlines and caps (protocol/core/data_limits.ts) mean to each part. */

/** What the server of a unit, or of exports that stand alone, keeps to. */
export function serverLimitsOf(limits: DataLimits): Partial<ServerLimits> {
  return {
    negotiationMs: limits.handshakeTimeoutMs,
    negotiatingMax: limits.handshakesMax,
    connectionsMax: limits.connectionsMax,
    stallMs: limits.stallTimeoutMs,
  };
}

/** What the server of a host's disk keeps to: the disk is its one export. */
export function diskServerLimitsOf(limits: DataLimits): Partial<ServerLimits> {
  const connectionsMax = limits.exportConnectionsMax ?? DISK_CONNECTIONS_MAX;
  return { ...serverLimitsOf(limits), connectionsMax };
}

/** Of one grant. */
export function grantConnectionsMaxOf({ exportConnectionsMax }: DataLimits): number {
  return exportConnectionsMax ?? CONNECTIONS_PER_GRANT_MAX;
}

/** Of one export that stands alone. */
export function aloneConnectionsMaxOf(limits: DataLimits): number {
  return limits.exportConnectionsMax ?? limits.connectionsMax;
}
