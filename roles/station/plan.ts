import {
  compareGenerations,
  type Generation,
  type VolumeInfo,
} from "../../protocol/config/bodies.ts";
import type { GrantRow, TombstoneRow, VolumeRow } from "./catalog/rows.ts";
import { sizeText, timeText } from "./words.ts";

/** The next thing to do about one volume so that its unit comes nearer to what is wanted. */
export type PlanStep =
  | { readonly kind: "create"; readonly volume: VolumeRow }
  | { readonly kind: "resize"; readonly volume: VolumeRow; readonly sequence: number }
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
  /** The unit holds it and nobody here knows of it. */
  | { readonly kind: "adopt"; readonly held: VolumeInfo };

export interface Plan {
  readonly step: PlanStep | null;
  /** What differs, in words; null when station and unit agree. */
  readonly difference: string | null;
}

export interface PlanInput {
  readonly volume: VolumeRow | null;
  readonly grant: GrantRow | null;
  readonly tombstone: TombstoneRow | null;
  readonly held: VolumeInfo | null;
  /** Recovered state: nothing is fenced or deleted before an operator confirmed. */
  readonly destroysNothing: boolean;
}

const AGREED: Plan = { step: null, difference: null };

/** Compares what is wanted of one volume with what its unit holds (control.md §4). Pure. */
export function planVolume(input: PlanInput): Plan {
  if (input.tombstone !== null) return planBurial(input.tombstone, input);
  const { volume, held } = input;
  if (volume === null) {
    if (held === null) return AGREED;
    return { step: { kind: "adopt", held }, difference: "not known here: it will be adopted" };
  }
  if (held === null) {
    if (volume.created === 0) {
      return { step: { kind: "create", volume }, difference: "wanted: not made yet" };
    }
    return wait("the unit no longer holds it: a medium is missing or was replaced");
  }
  return planHeld(volume, { ...input, held });
}

function planBurial(tombstone: TombstoneRow, input: PlanInput): Plan {
  const { held } = input;
  if (held === null) {
    if (tombstone.done === 1) return AGREED;
    return { step: { kind: "bury", tombstone }, difference: null };
  }
  if (input.destroysNothing) {
    return wait("is to be deleted, but the station is in recovered state: confirm first");
  }
  const { volumeId } = tombstone;
  const { sequence, grant } = held;
  if (grant !== null && grant.state !== "fenced") {
    const generation = later(tombstone, grant.generation);
    const step: PlanStep = { kind: "revoke", volumeId, generation, sequence };
    return { step, difference: `is to be deleted: ${fencingWords(grant)}` };
  }
  return { step: { kind: "delete", volumeId, sequence }, difference: "is to be deleted" };
}

function planHeld(volume: VolumeRow, input: PlanInput & { readonly held: VolumeInfo }): Plan {
  const { held } = input;
  const { sequence } = held;
  const place = volume.number === held.number && volume.startLba === held.startLba;
  if (volume.created === 0 || !place) {
    return { step: { kind: "keep", volume, held }, difference: null };
  }
  if (held.state === "failed" || held.state === "incomplete") {
    return wait(`${held.state}: ${held.reason ?? "the unit gives no reason"}`);
  }
  const grant = planGrant(volume, input);
  if (grant.step?.kind === "revoke") return grant;
  if (held.state === "zeroing") {
    const { zeroedBytes, allocatedBytes } = held;
    return wait(`is being zeroed: ${sizeText(zeroedBytes)} of ${sizeText(allocatedBytes)}`);
  }
  if (held.sizeBytes < volume.sizeBytes) {
    const difference = `is to grow from ${sizeText(held.sizeBytes)} to ` +
      sizeText(volume.sizeBytes);
    return { step: { kind: "resize", volume, sequence }, difference };
  }
  return grant;
}

function planGrant(volume: VolumeRow, input: PlanInput & { readonly held: VolumeInfo }): Plan {
  const { grant, held } = input;
  const { sequence } = held;
  if (grant === null) {
    return held.grant?.state === "active" ? wait("holds a grant that is not known here") : AGREED;
  }
  const order = held.grant === null ? -1 : compareGenerations(held.grant.generation, {
    epoch: grant.epoch,
    counter: grant.counter,
  });
  // Also a fence that is under way: it is asked for again until the unit says that it is done.
  const heldActive = held.grant !== null && held.grant.state !== "fenced";
  if (order > 0 && heldActive) return wait("holds a newer grant than the station knows of");
  if (grant.state === "revoked") {
    if (!heldActive) return AGREED;
    if (input.destroysNothing) {
      return wait("its grant is to be fenced, but the station is in recovered state");
    }
    const generation = { epoch: grant.epoch, counter: grant.counter };
    const step: PlanStep = { kind: "revoke", volumeId: volume.id, generation, sequence };
    return { step, difference: `is not wanted by its host any more: ${fencingWords(held.grant)}` };
  }
  const grown = grant.grantedBytes < volume.sizeBytes;
  if (order === 0 && held.grant?.state === "active" && !grown) return AGREED;
  if (order > 0 || (order === 0 && held.grant?.state !== "active")) {
    return wait("was fenced by a later generation");
  }
  return { step: { kind: "grant", volume, grant, sequence }, difference: "is to be granted" };
}

function later(a: Generation, b: Generation): Generation {
  const { epoch, counter } = compareGenerations(a, b) >= 0 ? a : b;
  return { epoch, counter };
}

function wait(difference: string): Plan {
  return { step: null, difference };
}

function fencingWords(grant: VolumeInfo["grant"]): string {
  if (grant?.state !== "fencing") return "its grant is to be fenced";
  const { fencingForMs } = grant;
  return `being fenced${fencingForMs === undefined ? "" : ` for ${timeText(fencingForMs)}`}`;
}
