import type { Assignment } from "../../protocol/config/bodies.ts";
import type { DiskStatus } from "../../storage/worker/messages.ts";
import type { Host } from "./host.ts";

/** A disk as `dvsan disk` shows it. */
export interface DiskSummary {
  readonly id: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly version: number;
  readonly state: DiskStatus["state"] | "direct" | "attaching";
  readonly reason: string | null;
  /** nbd+unix:///?socket=PATH, or null while the agent does not serve it. */
  readonly uri: string | null;
  readonly connections: number;
  readonly legs: readonly {
    readonly leg: number;
    readonly unit: string;
    readonly addresses: readonly string[];
    readonly sizeBytes: number;
    readonly generation: string;
    readonly state: string;
    readonly reason: string | null;
  }[];
}

export function summaryOf(
  host: Pick<Host, "status" | "failure">,
  assignment: Assignment,
): DiskSummary {
  const { diskId, name, sizeBytes, version } = assignment;
  const status = host.status(diskId);
  const state = assignment.state === "direct" ? "direct" : status?.state ?? "attaching";
  const legs = assignment.legs.map((leg) => {
    const known = status?.legs.find((one) => one.leg === leg.leg);
    return {
      leg: leg.leg,
      unit: leg.unitName,
      addresses: leg.addresses,
      sizeBytes: leg.sizeBytes,
      generation: `${leg.generation.epoch}.${leg.generation.counter}`,
      state: known?.state ?? state,
      reason: known?.reason ?? null,
    };
  });
  return {
    id: diskId,
    name,
    sizeBytes,
    version,
    state,
    reason: host.failure(diskId),
    uri: status === null ? null : `nbd+unix:///?socket=${status.socketPath}`,
    connections: status?.connections ?? 0,
    legs,
  };
}
