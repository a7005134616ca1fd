import { type Copy, decodeCopy, decodeSector, SECTOR_BYTES } from "./codec.ts";
import type { Label } from "./label.ts";

/**
 * Which of a medium's two copies counts. An update writes copy A, flushes, writes copy B, flushes;
 * so a crash leaves one of these, and nothing else is believed:
 *
 * | copy A | copy B | what happened | judgement |
 * | --- | --- | --- | --- |
 * | n | n | nothing | n |
 * | n torn towards n+1 | n | crash in A | n, write A again |
 * | n+1 | n | crash between | n+1, write A again, then B |
 * | n+1 | n torn towards n+1 | crash in B | n+1, write B again |
 * | 1 torn, or nothing | zero | crash in the first labelling | blank |
 * | 1 | zero or 1 torn | crash in the first labelling | 1, as n+1 above |
 *
 * "Torn" is checked, not assumed: every sector of the copy is either whole, of a sequence that this
 * crash can have left, or all zero. A sector with a wrong checksum is damage, and damage
 * quarantines the medium even when the other copy is sound: what else was hit is not known.
 */
export type Judgement =
  | { readonly kind: "blank" }
  | { readonly kind: "none" }
  | {
    readonly kind: "label";
    readonly label: Label;
    /**
     * The copies that have to hold it, in this order, before anything else is written: the one that
     * a crash left behind; and before that the one that is whole, if the flush behind that may have
     * failed, since what is read of it is in a cache alone then.
     */
    readonly rewrite: readonly Copy[];
  }
  | {
    readonly kind: "quarantined";
    readonly reason: string;
    /** The newest that is whole, which an operator may take over; null when there is none. */
    readonly label: Label | null;
    /** The copy that is not that label's, and has to hold it before the other is written to. */
    readonly rewrite: readonly Copy[];
    /** All that any sector still tells, copy A's first: two when the copies tell of two media. */
    readonly mediumIds: readonly string[];
  };

type Found =
  | { readonly kind: "zero" }
  | { readonly kind: "whole"; readonly label: Label }
  | { readonly kind: "torn"; readonly newest: number; readonly mediumId: string }
  | { readonly kind: "damaged"; readonly reason: string; readonly mediumIds: readonly string[] }
  | { readonly kind: "none" };

/** Judges both copies' regions, read whole. */
export function judgeCopies(regionA: Uint8Array, regionB: Uint8Array): Judgement {
  const a = findCopy(regionA, "A");
  const b = findCopy(regionB, "B");
  if (a.kind === "none" && (b.kind === "none" || b.kind === "zero")) return { kind: "none" };
  if (a.kind === "zero" && b.kind === "none") return { kind: "none" };
  if (a.kind === "zero" && b.kind === "zero") return { kind: "blank" };
  if (a.kind === "torn" && a.newest === 1 && b.kind === "zero") return { kind: "blank" };
  const idsA = idsOf(a);
  const idsB = idsOf(b);
  const mediumIds = [...new Set([...idsA, ...idsB])];
  if (idsA.length > 0 && idsB.length > 0 && idsA.every((id) => !idsB.includes(id))) {
    // Whose data is between them nobody can tell, so neither is there to be taken over.
    const reason = `its two label copies name different media: copy A ${idsA.join(", ")} ` +
      `(${wordsOf(a)}), copy B ${idsB.join(", ")} (${wordsOf(b)})`;
    return { kind: "quarantined", reason, label: null, rewrite: [], mediumIds };
  }
  if (a.kind === "whole") return judgeWhole(a.label, b);
  if (b.kind === "whole") {
    const { label } = b;
    const torn = a.kind === "torn" &&
      (a.newest === label.sequence || a.newest === label.sequence + 1);
    if (torn) return { kind: "label", label, rewrite: ["A"] };
    return quarantine(`copy A is ${wordsOf(a)} while copy B is whole`, label, "A");
  }
  const reason = `copy A is ${wordsOf(a)}, copy B is ${wordsOf(b)}`;
  return { kind: "quarantined", reason, label: null, rewrite: [], mediumIds };
}

function idsOf(found: Found): readonly string[] {
  switch (found.kind) {
    case "whole":
      return [found.label.mediumId];
    case "torn":
      return [found.mediumId];
    case "damaged":
      return found.mediumIds;
    case "zero":
    case "none":
      return [];
  }
}

function judgeWhole(label: Label, b: Found): Judgement {
  const { sequence } = label;
  if (b.kind === "whole") {
    if (b.label.sequence === sequence) return { kind: "label", label, rewrite: [] };
    if (b.label.sequence === sequence - 1) return { kind: "label", label, rewrite: ["A", "B"] };
    const reason = `copy A has sequence ${sequence}, copy B ${b.label.sequence}`;
    const isNewer = b.label.sequence > sequence;
    return isNewer ? quarantine(reason, b.label, "A") : quarantine(reason, label, "B");
  }
  if (b.kind === "torn" && b.newest <= sequence) {
    if (b.newest >= sequence - 1) return { kind: "label", label, rewrite: ["B"] };
  }
  if (b.kind === "zero" && sequence === 1) {
    return { kind: "label", label, rewrite: ["A", "B"] };
  }
  return quarantine(`copy B is ${wordsOf(b)} while copy A is whole`, label, "B");
}

function quarantine(reason: string, label: Label, rewrite: Copy): Judgement {
  return { kind: "quarantined", reason, label, rewrite: [rewrite], mediumIds: [label.mediumId] };
}

function wordsOf(found: Found): string {
  return found.kind === "damaged" ? `damaged (${found.reason})` : {
    zero: "all zero",
    whole: "whole",
    torn: "torn in a way that no crash leaves",
    none: "overwritten by something else",
  }[found.kind];
}

function findCopy(region: Uint8Array, copy: Copy): Found {
  const decoded = decodeCopy(region, copy);
  if ("label" in decoded) return { kind: "whole", label: decoded.label };
  let newest = 0;
  const mediumIds = new Set<string>();
  let damage: string | null = null;
  for (let at = 0; at + SECTOR_BYTES <= region.length; at += SECTOR_BYTES) {
    const bytes = region.subarray(at, at + SECTOR_BYTES);
    if (isZero(bytes)) continue;
    const sector = decodeSector(bytes, copy);
    const index = at / SECTOR_BYTES;
    if ("reason" in sector) damage ??= `sector ${index}: ${sector.reason}`;
    else if (sector.index !== index) damage ??= `sector ${index} is out of place`;
    else {
      mediumIds.add(sector.mediumId);
      if (mediumIds.size > 1) damage ??= "two media's sectors";
      newest = Math.max(newest, sector.sequence);
    }
  }
  const [mediumId] = mediumIds;
  if (mediumId === undefined) return damage === null ? { kind: "zero" } : { kind: "none" };
  if (damage !== null) return { kind: "damaged", reason: damage, mediumIds: [...mediumIds] };
  // All sectors are whole, yet together they are no label: either a crash mixed two writings, or
  // one writing is wrong in itself, which no crash does.
  return isMixed(region, copy) ? { kind: "torn", newest, mediumId } : {
    kind: "damaged",
    reason: decoded.reason,
    mediumIds: [mediumId],
  };
}

/** Whether the copy's sectors come from more than one writing, or some were never written. */
function isMixed(region: Uint8Array, copy: Copy): boolean {
  const first = decodeSector(region, copy);
  if ("reason" in first) return true;
  for (let index = 1; index < first.count; index++) {
    const sector = decodeSector(region.subarray(index * SECTOR_BYTES), copy);
    if ("reason" in sector || sector.writing !== first.writing) return true;
    if (sector.sequence !== first.sequence) return true;
  }
  return false;
}

export function isZero(bytes: Uint8Array): boolean {
  if (bytes.byteOffset % 4 === 0 && bytes.length % 4 === 0) {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
    return true;
  }
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}
