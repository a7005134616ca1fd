import { compareGenerations, type StorageInfo } from "../../protocol/config/bodies.ts";
import type { Catalog } from "./catalog/catalog.ts";
import type { PlanStep } from "./plan.ts";

export interface EpochMark {
  readonly volumeId: string;
  readonly step: Extract<PlanStep, { kind: "grant" }>;
}

/**
 * A unit keeps the station that it obeyed last on its labels, and obeys with a change. One that has
 * nothing to change would never know of a station that serves its disks: a catalog of before, in
 * which they were released, could be restored behind it and nothing would show that. So one volume
 * is granted once more, just as it is. Null when the unit has obeyed this station, or has none.
 */
export function epochMark(
  catalog: Catalog,
  unitId: string,
  { info, station }: {
    readonly info: StorageInfo;
    readonly station: { readonly epoch: number; readonly instance: string };
  },
): EpochMark | null {
  if (info.epoch === station.epoch && info.instance === station.instance) return null;
  for (const held of info.volumes) {
    const volume = catalog.volumes.get(held.id);
    const grant = catalog.grants.get(held.id);
    if (volume === undefined || volume.unitId !== unitId || grant?.state !== "active") continue;
    if (held.state !== "ready" || held.grant?.state !== "active") continue;
    const isGranted = compareGenerations(held.grant.generation, grant) === 0 &&
      grant.grantedBytes === volume.sizeBytes && held.grant.sizeBytes === volume.sizeBytes;
    if (!isGranted || held.sizeBytes !== volume.sizeBytes) continue;
    return { volumeId: held.id, step: { kind: "grant", volume, grant, sequence: held.sequence } };
  }
  return null;
}
