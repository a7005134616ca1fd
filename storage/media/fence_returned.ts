import { isDeepStrictEqual } from "node:util";
import type { Label, VolumeRecord } from "../../protocol/label/label.ts";
import { fencedRecord } from "./adopt_label.ts";
import { type Fix, type Resolution, type Resolved, resolveVolumes } from "./resolve.ts";
import type { UnitStoreOptions } from "./store_types.ts";

/**
 * What counts of every volume, as resolveVolumes() tells. When an operator has a medium adopted
 * that was given up for lost, the grants on it were told as fenced since (volume.ts): they are
 * fenced, on all media that are here. One that comes later is a step behind and is brought to it.
 */
export function resolvedFor(
  labels: readonly Label[],
  { adopting, forgotten }: Pick<UnitStoreOptions, "adopting" | "forgotten">,
): Resolution {
  const resolution = resolveVolumes(labels);
  const mediumId = adopting?.mediumId ?? "";
  return forgotten?.includes(mediumId) ? withFences(resolution, { mediumId, labels }) : resolution;
}

function withFences(
  { volumes, fixes }: Resolution,
  { mediumId, labels }: { readonly mediumId: string; readonly labels: readonly Label[] },
): Resolution {
  const fences: Fix[] = [];
  const fenced = volumes.map((resolved): Resolved => {
    const { record } = resolved;
    if (!isToBeFenced(resolved, { mediumId, labels })) return resolved;
    const next = fencedRecord(record, { number: record.number, sequence: record.sequence + 1 });
    for (const label of labels) {
      if (!record.media.includes(label.mediumId)) continue;
      fences.push({ mediumId: label.mediumId, volumeId: record.id, record: next });
    }
    return { ...resolved, record: next };
  });
  const others = fixes.filter(({ mediumId, volumeId }) =>
    !fences.some((fence) => fence.mediumId === mediumId && fence.volumeId === volumeId)
  );
  return { volumes: fenced, fixes: [...others, ...fences] };
}

function isToBeFenced(
  { record, state }: Resolved,
  { mediumId, labels }: { readonly mediumId: string; readonly labels: readonly Label[] },
): boolean {
  if (!record.media.includes(mediumId) || record.deleting) return false;
  if (record.grant === null || record.grant.state === "fenced") return false;
  // Of one that is not whole, media that differ are left as they are: nobody can say what counts.
  return state === "whole" ||
    state === "incomplete" && heldOn(labels, record).every((one) => isDeepStrictEqual(one, record));
}

function heldOn(labels: readonly Label[], { id }: VolumeRecord): VolumeRecord[] {
  return labels.flatMap(({ volumes }) => volumes.filter((one) => one.id === id));
}
