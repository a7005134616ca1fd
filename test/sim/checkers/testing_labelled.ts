import { MIB, VOLUME_HEADER_BYTES } from "../../../protocol/core/limits.ts";
import { copyBStart, encodeCopies } from "../../../protocol/label/codec.ts";
import type { VolumeRecord } from "../../../protocol/label/label.ts";
import { sampleLabel } from "../../../protocol/label/sample.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";

/** Where the volume's first byte is on its medium, as its host sees it. */
export const FIRST_BYTE = MIB + VOLUME_HEADER_BYTES;

/** A medium whose label has one volume of 8 MiB. */
export class LabelledMedium {
  readonly medium: SimMedium;
  readonly #record: VolumeRecord;
  #sequence = 0;

  constructor(
    of: { readonly volumeId: string; readonly grantedBytes: number; readonly isVolatile?: boolean },
  ) {
    const { isVolatile = false } = of;
    this.medium = new SimMedium("/unit1/b.img", { sizeBytes: 64 * MIB, isVolatile });
    const [record] = sampleLabel().volumes;
    const grant = { ...record!.grant!, sizeBytes: of.grantedBytes };
    this.#record = { ...record!, id: of.volumeId, grant };
    this.label();
  }

  /** Writes its label anew, with what is different now. */
  label(change: Partial<VolumeRecord> = {}): void {
    const { medium } = this;
    const sequence = ++this.#sequence;
    const volumes = [{ ...this.#record, ...change }];
    const copies = encodeCopies({ ...sampleLabel(), sequence, volumes });
    medium.write(copies.A, 0);
    medium.write(copies.B, copyBStart(medium.sizeBytes));
  }
}
