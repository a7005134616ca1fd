import {
  type AccessGrant,
  type AccessRevoke,
  compareGenerations,
  type VolumeCreate,
} from "../../../protocol/config/bodies.ts";
import { LABEL_REGION_BYTES } from "../../../protocol/core/limits.ts";
import { type Copy, copyBStart, decodeCopy } from "../../../protocol/label/codec.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { Checker, Sim, WorkerAnswer } from "../types.ts";

/** What of a volume's record must hold once a unit has said that a change was made. */
type Holds = (record: VolumeRecord | null) => string | null;

/**
 * What a unit acknowledged stands on its labels already, so that a power cut at this very instant
 * could not undo it. A copy that is being written anew may be torn meanwhile, the other one not.
 */
export class DurableLabelsChecker implements Checker {
  readonly name = "labels";
  readonly #sim: Pick<Sim, "violated">;
  readonly #media: ReadonlyMap<string, SimMedium>;
  /** Answers that were looked at. */
  judged = 0;

  constructor(sim: Pick<Sim, "violated">, media: ReadonlyMap<string, SimMedium>) {
    this.#sim = sim;
    this.#media = media;
  }

  workerAnswered({ process, call, params, error }: WorkerAnswer): void {
    if (error !== null) return;
    switch (call) {
      case "volumeCreate":
        return this.#check(process, params, created(params as VolumeCreate));
      case "volumeDelete":
        return this.#check(process, params, deleted);
      case "accessGrant":
        return this.#check(process, params, granted(params as AccessGrant));
      case "accessRevoke":
        return this.#check(process, params, revoked(params as AccessRevoke));
    }
  }

  #check(unit: string, params: unknown, holds: Holds): void {
    const { volumeId } = params as { volumeId: string };
    this.judged++;
    for (const medium of this.#media.values()) {
      // Only those that the unit serves: it has them open.
      if (!medium.held || !medium.path.startsWith(`/${unit}/`)) continue;
      const copies = copiesOf(medium);
      for (const { copy, label } of copies) {
        const record = label.volumes.find(({ id }) => id === volumeId) ?? null;
        const why = isOn(label, record) ? holds(record) : null;
        if (why === null) continue;
        this.#sim.violated(
          this.name,
          `${unit} said that it was done, and durable copy ${copy} of the label of ${medium.path} ` +
            `(sequence ${label.sequence}) says of volume ${volumeId}: ${why}`,
        );
        return;
      }
      if (copies.length > 0) continue;
      this.#sim.violated(this.name, `no durable copy of the label of ${medium.path} can be read`);
    }
  }
}

/** A volume without a record here may be on another medium of the unit. */
function isOn(label: Label, record: VolumeRecord | null): boolean {
  return record !== null && record.media.includes(label.mediumId);
}

function copiesOf(medium: SimMedium): { copy: Copy; label: Label }[] {
  const region = (position: number) => {
    const bytes = new Uint8Array(LABEL_REGION_BYTES);
    medium.readDurable(bytes, position);
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

function created({ sizeBytes }: VolumeCreate): Holds {
  return (record) =>
    record!.sizeBytes < sizeBytes ? `it has ${record!.sizeBytes} bytes of ${sizeBytes}` : null;
}

function deleted(record: VolumeRecord | null): string | null {
  return record === null ? null : "it is there";
}

function granted({ generation, hostId }: AccessGrant): Holds {
  return (record) => {
    const { grant } = record!;
    if (grant === null) return `nobody has it, not ${hostId}`;
    return compareGenerations(grant.generation, generation) < 0 ? "an older grant stands" : null;
  };
}

function revoked({ generation }: AccessRevoke): Holds {
  return (record) => {
    const { grant } = record!;
    const stands = grant !== null && grant.state === "active" &&
      compareGenerations(grant.generation, generation) <= 0;
    return stands ? `its grant to ${grant.hostId} is active` : null;
  };
}
