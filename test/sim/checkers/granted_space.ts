import { Buffer } from "node:buffer";
import { VOLUME_HEADER_BYTES } from "../../../protocol/core/limits.ts";
import { copyBStart } from "../../../protocol/label/codec.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import { copiesSeen, piecesIn } from "./label_copies.ts";

/** A part of a range of a medium that is one volume's; positions are as its host sees them. */
export interface GrantedPiece {
  readonly volume: VolumeRecord;
  readonly position: number;
  readonly length: number;
}

/** Of each copy, so many bytes tell which label it holds: its sequence and checksum. */
const TELLTALE_BYTES = 4096;

/**
 * Whose a place on a medium is, by the medium's own label: what was granted once, and is not being
 * deleted. All else a unit zeroes by itself: free space, volumes before their first grant, ends
 * before they are granted, headers and the labels' places.
 */
export class GrantedSpace {
  readonly #labels = new Map<SimMedium, { telltale: Buffer; label: Label | null }>();
  /** Ids of media that a unit is to wipe, the label with the MiB behind it in one go. */
  readonly #givenUp = new Set<string>();

  /** An operator has it wiped; whatever is made of the device then has another id. */
  givenUp(mediumId: string): void {
    this.#givenUp.add(mediumId);
  }

  /** Nothing while the label is being written or wiped: one of its copies is not whole then. */
  within(medium: SimMedium, position: number, length: number): GrantedPiece[] {
    const label = this.#labelOf(medium);
    if (label === null || this.#givenUp.has(label.mediumId)) return [];
    const { mediumId } = label;
    return label.volumes.flatMap((volume) => {
      if (volume.grant === null || volume.deleting) return [];
      const grantedEnd = VOLUME_HEADER_BYTES + volume.grant.sizeBytes;
      return piecesIn(volume, { mediumId, position, length }).flatMap((piece): GrantedPiece[] => {
        const first = Math.max(piece.position, VOLUME_HEADER_BYTES);
        const last = Math.min(piece.position + piece.length, grantedEnd);
        if (first >= last) return [];
        return [{ volume, position: first - VOLUME_HEADER_BYTES, length: last - first }];
      });
    });
  }

  #labelOf(medium: SimMedium): Label | null {
    const known = this.#labels.get(medium);
    const telltale = telltaleOf(medium, known?.label?.sizeBytes ?? medium.sizeBytes);
    if (known?.telltale.equals(telltale)) return known.label;
    const label = newestOf(medium);
    // By the place of the second copy that this label says.
    this.#labels.set(medium, {
      telltale: telltaleOf(medium, label?.sizeBytes ?? medium.sizeBytes),
      label,
    });
    return label;
  }
}

function telltaleOf(medium: SimMedium, sizeBytes: number): Buffer {
  const both = Buffer.alloc(2 * TELLTALE_BYTES);
  medium.read(both.subarray(0, TELLTALE_BYTES), 0);
  medium.read(both.subarray(TELLTALE_BYTES), copyBStart(sizeBytes));
  return both;
}

/** Null while one of the copies is not whole. */
function newestOf(medium: SimMedium): Label | null {
  const [a, b] = copiesSeen(medium);
  if (a === undefined || b === undefined) return null;
  return b.label.sequence > a.label.sequence ? b.label : a.label;
}
