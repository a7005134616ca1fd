import {
  compareGenerations,
  type Generation,
  type VolumeInfo,
} from "../../protocol/config/bodies.ts";
import type { GrantRow, TombstoneRow, VolumeRow } from "./catalog/rows.ts";
import { isFencedOff, isUnknown } from "./evidence.ts";
import { brokenWords, isAnotherMaking } from "./making.ts";
import { withoutGrants } from "./media_pasts.ts";
import { BEING_MADE, CONFIRM, fencingWords, NO_LONGER_HELD, sizeText } from "./words.ts";

/** The next thing to do about one volume so that its unit comes nearer to what is wanted. */
export type PlanStep =
  | { readonly kind: "create"; readonly volume: VolumeRow }
  | { readonly kind: "resize"; readonly volume: VolumeRow; readonly sequence: number }
  /** The label is to tell of more legs of its disk. */
  | {
    readonly kind: "relabel";
    readonly volume: VolumeRow;
    readonly legs: number;
    readonly sequence: number;
  }
  /** A growth that was given up before it was granted: its end is free again. */
  | { readonly kind: "shrink"; readonly volume: VolumeRow; readonly sequence: number }
  | {
    readonly kind: "grant";
    readonly volume: VolumeRow;
    readonly grant: GrantRow;
    readonly sequence: number;
  }
  | {
    readonly kind: "revoke";
    readonly volumeId: string;
    readonly generation: Generation;
    readonly sequence: number;
  }
  | { readonly kind: "delete"; readonly volumeId: string; readonly sequence: number }
  /** Known to be gone: the tombstone is done. */
  | { readonly kind: "bury"; readonly tombstone: TombstoneRow }
  /** Held for the first time: its number and place are kept. */
  | { readonly kind: "keep"; readonly volume: VolumeRow; readonly held: VolumeInfo }
  /** The label tells of a grant or size that the catalog does not know: the label is right. */
  | { readonly kind: "learn"; readonly volume: VolumeRow; readonly held: VolumeInfo }
  /** The unit holds it and nobody here knows of it. */
  | { readonly kind: "adopt"; readonly held: VolumeInfo }
  /** It was adopted without a grant, and is gone: it never was durable, or is with its medium. */
  | { readonly kind: "forget"; readonly volume: VolumeRow };

export interface Plan {
  readonly step: PlanStep | null;
  /** What differs, in words; null when station and unit agree. */
  readonly difference: string | null;
  /** The step takes something away that a unit holds. */
  readonly destroys: boolean;
  /** The step lets a host in that its unit lets in nowhere now. */
  readonly admits?: boolean;
  /** What an operator's confirmation sets off, in words: "is fenced or deleted"; else null. */
  readonly confirms: string | null;
}

export interface PlanInput {
  readonly unitId: string;
  readonly volume: VolumeRow | null;
  readonly grant: GrantRow | null;
  readonly tombstone: TombstoneRow | null;
  readonly held: VolumeInfo | null;
  /** What the unit holds of it that the catalog names, where that is another one. */
  readonly heldAtHome: VolumeInfo | null;
  /** Of its disk, that a host was told of. */
  readonly legs: number;
  /** No host was told of a leg behind it, or all are told anew: what follows is not moved. */
  readonly mayChangeLength: boolean;
  /** Its disk is ready, and rebuilt from labels. */
  readonly isRebuilt: boolean;
  /** Its disk is ready, and its host a member: somebody is to use it. */
  readonly isInUse: boolean;
  /** A medium of it is older than before, and no operator has taken it as it is. */
  readonly isPutBack: boolean;
  /** Recovered state: nothing is fenced or deleted, nobody let in before an operator confirmed. */
  readonly destroysNothing: boolean;
}

const AGREED: Plan = { step: null, difference: null, destroys: false, confirms: null };
/** A task of its own brings it back (tasks/disk_regrant.ts). */
const SHUT_OUT: Plan = {
  step: null,
  difference: "was fenced by its unit, and is granted again once its disk is certain",
  destroys: false,
  confirms: "is granted to its host again",
};

/** Compares what is wanted of one volume with what its unit holds (control.md §4). Pure. */
export function planVolume(input: PlanInput): Plan {
  const plan = planWanted(input);
  const withheld = (plan.destroys || plan.admits === true) && input.destroysNothing;
  if (!withheld) return input.isPutBack ? withoutGrants(plan, input.held) : plan;
  return { ...plan, step: null, difference: `${plan.difference}, but ${CONFIRM}` };
}

function planWanted(input: PlanInput): Plan {
  const { volume, held, tombstone } = input;
  if (tombstone !== null) return planBurial(tombstone, input);
  if (volume === null) {
    if (held === null) return AGREED;
    if (held.making === true) return wait(`not known here, and ${BEING_MADE}`);
    return act({ kind: "adopt", held }, "not known here: will be adopted");
  }
  if (volume.unitId !== input.unitId) {
    if (held === null) return AGREED;
    if (!isMoved(input, held)) return planCopy(volume, input, held);
    return act({ kind: "learn", volume, held }, "was granted here after the catalog was written");
  }
  if (held === null) {
    if (volume.created === 0) return act({ kind: "create", volume }, "wanted: not made yet");
    if (input.isRebuilt && input.grant === null && volume.publishedBytes === 0) {
      return act({ kind: "forget", volume }, "was never granted, and its unit has it no more");
    }
    return wait(NO_LONGER_HELD);
  }
  return planHeld(volume, { ...input, held });
}

function planBurial(tombstone: TombstoneRow, { held }: PlanInput): Plan {
  if (held === null) {
    return tombstone.done === 1 ? AGREED : act({ kind: "bury", tombstone }, null);
  }
  const { volumeId, epoch, counter } = tombstone;
  const { sequence, grant } = held;
  // Whoever decided to delete it did not know of this grant: an older catalog did.
  const known = { epoch: tombstone.knownEpoch, counter: tombstone.knownCounter };
  if (grant !== null && compareGenerations(grant.generation, known) > 0) {
    return act({ kind: "adopt", held }, "was to be deleted without knowing of its grant: stays");
  }
  if (grant !== null && grant.state !== "fenced") {
    const step: PlanStep = {
      kind: "revoke",
      volumeId,
      generation: { epoch, counter },
      sequence,
    };
    return destroy(step, `is to be deleted: ${fencingWords(grant)}`);
  }
  return destroy({ kind: "delete", volumeId, sequence }, "is to be deleted");
}

/** Granted here later than wherever the catalog has it: a medium was moved and adopted. */
function isMoved({ grant, heldAtHome }: PlanInput, held: VolumeInfo): boolean {
  const here = held.grant?.generation;
  if (here === undefined) return false;
  const elsewhere = [grant, heldAtHome?.grant?.generation].filter((one) =>
    one !== null && one !== undefined
  );
  return elsewhere.every((generation) => compareGenerations(here, generation) > 0);
}

/** The catalog has the volume on another unit: what is held here is a copy, or was left behind. */
function planCopy(volume: VolumeRow, input: PlanInput, held: VolumeInfo): Plan {
  // Not a copy but a half: whoever took it for one and wiped it would lose both.
  const isParted = held.state === "incomplete" && input.heldAtHome?.state !== "ready";
  const words = isParted
    ? "is a part of a volume that belongs to another unit, which lacks these media"
    : input.heldAtHome === null
    ? "belongs to another unit in the catalog, which does not tell of it"
    : "is a copy of a volume that belongs to another unit";
  const { grant, sequence } = held;
  if (grant === null || grant.state === "fenced") {
    const advice = isParted
      ? "bring all of its media to this unit, and adopt here those that are foreign"
      : input.heldAtHome === null
      ? "if its medium was carried here, adopt it here; it may be all that is left of it"
      : "take its medium away and have it forgotten here, or adopt it while the other has it not";
    return wait(`${words}: ${advice}`);
  }
  const wanted = input.grant ?? grant.generation;
  const { epoch, counter } = compareGenerations(wanted, grant.generation) > 0
    ? wanted
    : grant.generation;
  const generation = { epoch, counter };
  return destroy(
    { kind: "revoke", volumeId: volume.id, generation, sequence },
    `${words}: ${fencingWords(grant)}`,
  );
}

type Held = PlanInput & { readonly held: VolumeInfo };

function planHeld(volume: VolumeRow, input: Held): Plan {
  const { held } = input;
  const { sequence } = held;
  const wanted = { volume, grant: input.grant };
  const trouble = brokenWords(held, wanted);
  // Should the unit hold nothing of it after a power cut, say, it is asked for again.
  if (volume.created === 0 && held.making === true) return wait(trouble ?? BEING_MADE);
  const place = volume.number === held.number && volume.startLba === held.startLba;
  const isKept = volume.created === 1 && (place || isAnotherMaking(held, wanted));
  if (!isKept) return act({ kind: "keep", volume, held }, null);
  const learned = planLearning(volume, input);
  if (learned !== null) return learned;
  const grant = planGrant(volume, input);
  if (grant.step?.kind === "revoke") {
    // The unit shuts the host out even where its labels cannot say so yet.
    return trouble === null ? grant : { ...grant, difference: `${grant.difference}; ${trouble}` };
  }
  // Where the end alone is broken, the volume is whole without it.
  const end = planEnd(volume, input, trouble);
  if (end !== null) return end;
  if (trouble !== null) return wait(trouble);
  if (held.state === "zeroing") {
    const { zeroedBytes, allocatedBytes } = held;
    return wait(`is being zeroed: ${sizeText(zeroedBytes)} of ${sizeText(allocatedBytes)}`);
  }
  if (held.sizeBytes < volume.sizeBytes) {
    const difference = `is to grow from ${sizeText(held.sizeBytes)} to ` +
      sizeText(volume.sizeBytes);
    return act({ kind: "resize", volume, sequence }, difference);
  }
  return grant.step === null && grant.difference === null ? planLegs(volume, input) : grant;
}

/**
 * Each leg's label has the count of its disk's legs: one that was made before the others would be
 * taken for the whole disk, once the catalog is lost and their units are out of sight. A count
 * never falls, as legs that were published stay; an older catalog would make it fall.
 */
function planLegs(volume: VolumeRow, input: Held): Plan {
  const { held, legs, isInUse, isRebuilt, destroysNothing } = input;
  const isCertain = isInUse && !isRebuilt && !destroysNothing;
  if (!isCertain || volume.publishedBytes === 0 || held.leg.legs >= legs) return AGREED;
  const difference = `its label tells of ${held.leg.legs} of the disk's ${legs} legs`;
  return act({ kind: "relabel", volume, legs, sequence: held.sequence }, difference);
}

/**
 * What a growth left that was given up. Nobody was ever granted it, or the label's grant would say
 * so and the catalog learn the size: then a host may hold it, whatever an older catalog says.
 */
function planEnd(volume: VolumeRow, { held }: Held, trouble: string | null): Plan | null {
  const { sizeBytes, sequence, grant } = held;
  if (sizeBytes <= volume.sizeBytes || (grant?.sizeBytes ?? 0) > volume.sizeBytes) return null;
  const difference = `holds ${sizeText(sizeBytes)}, the catalog says ` +
    `${sizeText(volume.sizeBytes)}: it gives the end back, which no host was ever granted` +
    (trouble === null ? "" : `; ${trouble}`);
  const plan = destroy({ kind: "shrink", volume, sequence }, difference);
  return { ...plan, confirms: "gives its end back, which nobody was granted" };
}

/** The label is right about current grant and extents, the catalog about what is intended. */
function planLearning(volume: VolumeRow, { held, grant, mayChangeLength }: Held): Plan | null {
  if (held.grant === null) return null;
  if (isUnknown(held.grant, grant)) {
    const which = grant !== null && compareGenerations(held.grant.generation, grant) === 0
      ? "another"
      : "a newer";
    return act({ kind: "learn", volume, held }, `holds ${which} grant than the catalog: stands`);
  }
  if (held.grant.sizeBytes <= volume.sizeBytes) return null;
  if (mayChangeLength) {
    return act({ kind: "learn", volume, held }, "is larger than the catalog says");
  }
  return wait("was granted larger than its place in the disk allows");
}

function planGrant(volume: VolumeRow, input: Held): Plan {
  const { grant, held } = input;
  const { sequence } = held;
  if (grant === null) return AGREED;
  const order = held.grant === null ? -1 : compareGenerations(held.grant.generation, grant);
  // Also a fence that is under way: it is asked for again until the unit says that it is done.
  const heldActive = held.grant !== null && held.grant.state !== "fenced";
  if (grant.state === "revoked") {
    // Learned from a label, after whoever fenced it, and why, was lost with an older catalog.
    if (!heldActive) return order === 0 && input.isInUse ? SHUT_OUT : AGREED;
    const generation = { epoch: grant.epoch, counter: grant.counter };
    const step: PlanStep = { kind: "revoke", volumeId: volume.id, generation, sequence };
    return destroy(step, `is not wanted by its host any more: ${fencingWords(held.grant)}`);
  }
  const grown = grant.grantedBytes < volume.sizeBytes;
  if (order === 0 && held.grant?.state === "active" && !grown) return AGREED;
  if ((order === 0 && held.grant?.state !== "active") || isFencedOff(held, grant)) return SHUT_OUT;
  const step: PlanStep = { kind: "grant", volume, grant, sequence };
  // Its own newer grant shuts a host out as a fence does.
  if (order < 0 && heldActive) {
    return destroy(step, "is to be granted anew, and its older grant fenced");
  }
  const plan = act(step, "is to be granted");
  // An older catalog does not know who was revoked since.
  return heldActive ? plan : { ...plan, admits: true, confirms: "is granted to its host" };
}

function act(step: PlanStep, difference: string | null): Plan {
  return { step, difference, destroys: false, confirms: null };
}

function destroy(step: PlanStep, difference: string): Plan {
  return { step, difference, destroys: true, confirms: "is fenced or deleted" };
}

function wait(difference: string): Plan {
  return { step: null, difference, destroys: false, confirms: null };
}
