import type { Assignment } from "../../../protocol/config/bodies.ts";
import { VOLUME_HEADER_BYTES } from "../../../protocol/core/limits.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import { PIECE_BYTES } from "../../../storage/io/sim_pieces.ts";
import type { SimErasure, SimLoss } from "../../../storage/io/sim_world.ts";
import { BLOCK_BYTES, type WorkerAnswer } from "../types.ts";
import { copiesSeen, piecesIn } from "./label_copies.ts";
import type { Value } from "./register.ts";
import { valuesOf } from "./values.ts";

/** A block of a disk, as consumers number it. */
export interface DiskBlock {
  readonly diskId: string;
  readonly block: number;
}

/** One of which a medium has lost the newest content. */
export interface LostBlock extends DiskBlock {
  /**
   * The values that it has there now beneath its cache, several when it is torn; none where nobody
   * can know.
   */
  readonly left?: ReadonlySet<Value> | null;
}

interface PlacedBlock extends DiskBlock {
  /** On its medium, in bytes. */
  readonly position: number;
}

/** Where in a disk a volume's first byte is, behind its header. */
interface Place {
  readonly diskId: string;
  readonly beginBytes: number;
}

/**
 * Which blocks of which disks lie where on a medium: by its label, and by what agents are told of
 * disks' legs, which keep their length but for the last one.
 */
export class DiskPlaces {
  /** By volume. */
  readonly #places = new Map<string, Place>();
  readonly #labels = new Map<SimMedium, Label>();

  workerAnswered({ call, params }: Pick<WorkerAnswer, "call" | "params">): void {
    if (call === "diskAttach") this.#learn((params as { assignment: Assignment }).assignment);
    if (call === "diskUpdate") this.#learn(params as Assignment);
  }

  blocksOf(range: Pick<SimLoss, "medium" | "positions">): DiskBlock[] {
    return this.#blocksAt(range).map(({ diskId, block }) => ({ diskId, block }));
  }

  lostBy({ medium, positions, isStillRead }: SimLoss): LostBlock[] {
    const bytes = new Uint8Array(PIECE_BYTES);
    return this.#blocksAt({ medium, positions }).map(({ diskId, block, position }) => {
      if (isStillRead) medium.readDurable(bytes, position);
      else medium.read(bytes, position);
      const values = valuesOf(bytes, { block, disk: diskId, names: new Map() });
      return { diskId, block, left: typeof values === "string" ? null : values };
    });
  }

  /** Those in a range of a medium. */
  blocksIn(
    { medium, position, length }: Pick<SimErasure, "medium" | "position" | "length">,
  ): DiskBlock[] {
    const count = Math.ceil(length / PIECE_BYTES);
    const positions = Array.from({ length: count }, (_, i) => position + i * PIECE_BYTES);
    return this.blocksOf({ medium, positions });
  }

  #blocksAt({ medium, positions }: Pick<SimLoss, "medium" | "positions">): PlacedBlock[] {
    const label = positions.length === 0 ? undefined : this.#labelOf(medium);
    if (label === undefined) return [];
    const { mediumId, volumes } = label;
    return positions.flatMap((position) =>
      volumes.flatMap((volume) => {
        const place = this.#placeOf(volume);
        if (place === null) return [];
        return piecesIn(volume, { mediumId, position, length: PIECE_BYTES })
          .filter((piece) => piece.position >= VOLUME_HEADER_BYTES)
          .map((piece) => {
            const at = place.beginBytes + piece.position - VOLUME_HEADER_BYTES;
            return { diskId: place.diskId, block: Math.floor(at / BLOCK_BYTES), position };
          });
      })
    );
  }

  #learn({ diskId, legs }: Assignment): void {
    let beginBytes = 0;
    for (const { volumeId, sizeBytes } of [...legs].sort((a, b) => a.leg - b.leg)) {
      this.#places.set(volumeId, { diskId, beginBytes });
      beginBytes += sizeBytes;
    }
  }

  /** A leg that no agent was told of nobody has used, but the first one by a token. */
  #placeOf({ id, leg }: VolumeRecord): Place | null {
    const known = this.#places.get(id);
    if (known !== undefined) return known;
    return leg.leg === 0 ? { diskId: leg.diskId, beginBytes: 0 } : null;
  }

  /** While both copies are torn, what was there last: what a volume has it keeps. */
  #labelOf(medium: SimMedium): Label | undefined {
    const copies = copiesSeen(medium).map(({ label }) => label);
    const newest = copies.sort((a, b) => b.sequence - a.sequence)[0];
    if (newest !== undefined) this.#labels.set(medium, newest);
    return this.#labels.get(medium);
  }
}
