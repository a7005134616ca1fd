import type { MediumInfo } from "../../protocol/config/bodies.ts";
import type { Label } from "../../protocol/label/label.ts";
import { infoOf } from "./accept_medium.ts";
import type { MediumFile } from "./medium_file.ts";

/** Several media with one id: which one is served. */

export interface Candidate {
  readonly file: MediumFile;
  readonly label: Label;
}

/**
 * Of several media with one id the newest label is served. Of equal ones none: labels do not change
 * with the data between them, so any of them may be a copy of long ago, and serving it would lose
 * what was written since.
 */
export function chosenOf(rivals: readonly Candidate[]): Candidate | null {
  const newest = Math.max(...rivals.map(({ label }) => label.sequence));
  const found = rivals.filter(({ label }) => label.sequence === newest);
  return found.length === 1 ? found[0]! : null;
}

export function duplicateOf(
  { file, label }: Candidate,
  { chosen, rivals }: { readonly chosen: Candidate | null; readonly rivals: readonly Candidate[] },
): MediumInfo {
  const others = rivals.filter((other) => other.file !== file).map((other) => other.file.path);
  const reason = chosen !== null
    ? copyOf(chosen.file.path)
    : `${others.join(", ")} has the same medium id and label sequence, so one is a copy, and may ` +
      "be older: neither is served. Take away all but the one that is to be served, and restart " +
      "the unit";
  return infoOf(file, {
    state: "duplicate",
    id: label.mediumId,
    sequence: label.sequence,
    reason,
  });
}

/** A medium on another device than before is surely a copy when the right one is there. */
export function besideServed(
  info: MediumInfo,
  served: ReadonlyMap<string, { readonly file: MediumFile }>,
): MediumInfo {
  const original = served.get(info.id);
  if (info.state !== "moved" || original === undefined) return info;
  return { ...info, state: "duplicate", reason: copyOf(original.file.path) };
}

function copyOf(path: string): string {
  return `${path} has the same medium id and is served; this one is a copy`;
}
