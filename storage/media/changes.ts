import type { Label, VolumeRecord } from "../../protocol/label/label.ts";
import type { LabelChange } from "./medium.ts";
import { normalise, type Ranges, subtract, union } from "./ranges.ts";
import { runsOn } from "./resolve.ts";

/** The changes that are made to labels, as pure functions of a label. */

/** Puts the record in, in place of an older one. */
export function withRecord(record: VolumeRecord): LabelChange {
  return (label) => ({
    ...label,
    nextNumber: Math.max(label.nextNumber, record.number + 1),
    volumes: [...label.volumes.filter((volume) => volume.id !== record.id), record],
  });
}

/** The same with fewer extents; what the others hold is unknown from then on. */
export function withShorter(record: VolumeRecord): LabelChange {
  const put = withRecord(record);
  return (label) => {
    const before = label.volumes.find((volume) => volume.id === record.id);
    const runs = before === undefined ? [] : runsOn(before, label.mediumId);
    const freed = subtract(normalise(runs), normalise(runsOn(record, label.mediumId)));
    return { ...put(label), zeroed: mutable(subtract(label.zeroed, freed)) };
  };
}

/** Takes the volume out; what its extents hold is unknown from then on. */
export function withoutVolume(volumeId: string): LabelChange {
  return (label: Label) => {
    const record = label.volumes.find((volume) => volume.id === volumeId);
    if (record === undefined) return label;
    return {
      ...label,
      volumes: label.volumes.filter((volume) => volume !== record),
      zeroed: mutable(subtract(label.zeroed, normalise(runsOn(record, label.mediumId)))),
    };
  };
}

export function withZeroed(ranges: Ranges): LabelChange {
  return (label) => ({ ...label, zeroed: mutable(union(label.zeroed, ranges)) });
}

function mutable(ranges: Ranges): [number, number][] {
  return ranges.map(([start, length]) => [start, length]);
}
