import { EXTENT_STEP_BYTES, LABEL_REGION_BYTES } from "../../../protocol/core/limits.ts";
import { type Copy, copyBStart, decodeCopy } from "../../../protocol/label/codec.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";

export interface LabelCopy {
  readonly copy: Copy;
  readonly label: Label;
}

/** A part of a volume, counted from its header's first byte. */
export interface VolumePiece {
  readonly position: number;
  readonly length: number;
}

/** The whole copies of a medium's label, as everybody reads them now. */
export function copiesSeen(medium: SimMedium): LabelCopy[] {
  return copiesOf(medium, (into, position) => medium.read(into, position));
}

/** The same, as a power cut would leave them. */
export function copiesThatStay(medium: SimMedium): LabelCopy[] {
  return copiesOf(medium, (into, position) => medium.readDurable(into, position));
}

function copiesOf(
  medium: SimMedium,
  read: (into: Uint8Array, position: number) => void,
): LabelCopy[] {
  const region = (position: number) => {
    const bytes = new Uint8Array(LABEL_REGION_BYTES);
    read(bytes, position);
    return bytes;
  };
  const a = decodeCopy(region(0), "A");
  const sizeBytes = "label" in a ? a.label.sizeBytes : medium.sizeBytes;
  const b = decodeCopy(region(copyBStart(sizeBytes)), "B");
  return [
    ..."label" in a ? [{ copy: "A" as const, label: a.label }] : [],
    ..."label" in b ? [{ copy: "B" as const, label: b.label }] : [],
  ];
}

/** Of what lies on a medium, [position, position + length), what is within one volume. */
export function piecesIn(
  volume: VolumeRecord,
  o: { readonly mediumId: string; readonly position: number; readonly length: number },
): VolumePiece[] {
  const end = o.position + o.length;
  const pieces: VolumePiece[] = [];
  let begin = 0;
  for (const [index, firstStep, steps] of volume.extents) {
    const start = firstStep * EXTENT_STEP_BYTES;
    const size = steps * EXTENT_STEP_BYTES;
    const from = begin + Math.max(o.position, start) - start;
    const to = begin + Math.min(end, start + size) - start;
    if (volume.media[index] === o.mediumId && from < to) {
      pieces.push({ position: from, length: to - from });
    }
    begin += size;
  }
  return pieces;
}
