import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { asText, type MediumInfo } from "../../protocol/config/bodies.ts";
import { hasComeOf } from "../../protocol/config/openings.ts";
import type { Copy } from "../../protocol/label/codec.ts";
import type { Judgement } from "../../protocol/label/judge.ts";
import type { Label } from "../../protocol/label/label.ts";
import type { MediumFile } from "./medium_file.ts";
import type { Adopting, KnownDevice, UnitStoreOptions } from "./store_types.ts";
import { writeCopies } from "./write_label.ts";

/** What became of one path. */
export type Opened =
  | { readonly kind: "ok"; readonly file: MediumFile; readonly label: Label }
  | { readonly kind: "reported"; readonly info: MediumInfo }
  /** Would be reported, but an operator has this unit take it over. */
  | {
    readonly kind: "adopted";
    readonly file: MediumFile;
    readonly label: Label;
    readonly isOurs: boolean;
    /** The copies that have to hold the label first. */
    readonly rewrite: readonly Copy[];
  }
  | { readonly kind: "refused"; readonly path: string; readonly error: DvsanError };

const GIVEN_UP = "an operator gave it up for lost, and it is back";

/** A medium with a label: ours, or reported with the reason why it is not served. */
export async function acceptMedium(
  file: MediumFile,
  judgement: Extract<Judgement, { kind: "label" | "quarantined" }>,
  options: UnitStoreOptions,
): Promise<Opened> {
  const { label } = judgement;
  const id = label?.mediumId ??
    (judgement.kind === "quarantined" ? likeliest(judgement.mediumIds, file, options) : null);
  if (id === null) {
    throw new DvsanError("foreign", `Cannot use ${file.path}: it holds a damaged dvsan label.`);
  }
  const known = options.knownSequences[id];
  const oldCopy = ({ sequence }: Label) =>
    `its label has sequence ${sequence}, this unit has written ${known}: it is an old copy`;
  const adopting = options.adopting?.mediumId === id ? options.adopting : null;
  const isMeant = (sequence: number) => adopting?.sequence === sequence;
  const report = (state: MediumInfo["state"], reason: string): Opened => {
    const sequence = label?.sequence ?? 0;
    const isShrunk = label !== null && label.sizeBytes > file.sizeBytes;
    if (isMeant(sequence) && label !== null && !isShrunk) {
      const isSame = state === "quarantined" || state === "moved";
      const isOurs = isSame && sequence >= (known ?? 0);
      return { kind: "adopted", file, label, isOurs, rewrite: judgement.rewrite };
    }
    const info = infoOf(file, { state, id, reason, sequence });
    return { kind: "reported", info: isShrunk ? { ...info, shrunk: true } : info };
  };
  if (label !== null && label.unitId !== options.unitId) {
    const whose = `it belongs to unit ${label.unitId}${nameOf(label)}`;
    // A copy of before this unit took it over.
    if (label.sequence < (known ?? 0)) return report("stale", `${whose}, and ${oldCopy(label)}`);
    const damage = judgement.kind === "quarantined" ? `, and ${judgement.reason}` : "";
    return report("foreign", `${whose}${damage}`);
  }
  if (judgement.kind === "quarantined") {
    if (label === null || label.sequence >= (known ?? 0)) {
      return report("quarantined", judgement.reason);
    }
    // What is whole of it is older than what was there: that is lost, and not only a copy of it.
    return report("stale", `${judgement.reason}, and ${oldCopy(label)}`);
  }
  const own = judgement.label;
  if (own.clusterId !== "" && options.clusterId !== null && own.clusterId !== options.clusterId) {
    return report("foreign", `it belongs to cluster ${own.clusterId}`);
  }
  const isGivenUp = options.forgotten?.includes(id) === true;
  if (isGivenUp && !isMeant(own.sequence)) return report("stale", GIVEN_UP);
  if (own.sequence < (known ?? 0)) return report("stale", oldCopy(own));
  const elsewhere = movedFrom(file, options.knownDevices?.[id]);
  if (elsewhere !== null) return report("moved", elsewhere);
  if (judgement.rewrite.length > 0) {
    const trouble = await finishUpdate(file, judgement, options);
    if (trouble !== null) return report("failed", trouble);
  }
  if (adopting !== null && (isGivenUp || !hasPast(own, adopting))) {
    // It is as this unit left it; or the unit was put back with it, and only the station knew more.
    return { kind: "adopted", file, label: own, isOurs: true, rewrite: [] };
  }
  return { kind: "ok", file, label: own };
}

/** Whether the medium is what has come of what the station saw of it last. */
export function hasPast({ openings = [], sequence }: Label, { past }: Adopting): boolean {
  return past === undefined || hasComeOf({ openings, sequence }, past) === "yes";
}

/** Which medium this is, when its copies tell of several: the one that was served here before. */
function likeliest(
  ids: readonly string[],
  file: MediumFile,
  { knownDevices = {}, knownSequences }: UnitStoreOptions,
): string | null {
  return ids.find((id) => isOn(knownDevices[id], file)) ??
    ids.find((id) => Object.hasOwn(knownSequences, id)) ?? ids[0] ?? null;
}

function isOn(known: KnownDevice | undefined, file: MediumFile): boolean {
  if (known === undefined || known.identity !== file.identity) return false;
  return file.identity !== null || known.path === file.path;
}

/** Writes the copy that a crash left behind the other; why that failed, or null. */
async function finishUpdate(
  file: MediumFile,
  { label, rewrite }: Extract<Judgement, { kind: "label" }>,
  options: UnitStoreOptions,
): Promise<string | null> {
  const copy = rewrite.at(-1);
  options.log.info("finishing a label update that a crash cut", { path: file.path, copy });
  try {
    await writeCopies(file, label, rewrite);
    return null;
  } catch (error) {
    if (!(error instanceof DvsanError)) throw error;
    return `writing its label failed: ${messageOf(error)}`;
  }
}

/**
 * Why this is not the device that the medium was served on last, or null. The label cannot tell: a
 * copy has the same one for as long as the original is not written to. A device that tells nothing
 * of itself is taken at its label's word.
 */
function movedFrom(file: MediumFile, known: KnownDevice | undefined): string | null {
  if (known === undefined || known.identity === null || known.identity === file.identity) {
    return null;
  }
  return `this unit used it last on another device (${known.path}: ${known.identity}; this one: ` +
    `${file.identity ?? "it tells nothing of itself"}), so it may be a copy with older data`;
}

/**
 * A device without any label that held one of this unit's media when it was served last, or null.
 * What was on it may still be there but for the label: it is not labelled anew, which would have
 * its space zeroed, before an operator gave the medium up. That is so with --wipe, too: it may
 * stand there since the first start.
 */
export function lostLabel(file: MediumFile, options: UnitStoreOptions): MediumInfo | null {
  for (const [id, known] of Object.entries(options.knownDevices ?? {})) {
    if (!isOn(known, file) || options.forgotten?.includes(id)) continue;
    const reason = "this is the device that this unit served it on, and its label is gone from " +
      "both ends. Put it back from a copy; or have the medium forgotten and the device reopened " +
      "then, which labels it anew";
    const sequence = options.knownSequences[id] ?? 0;
    return infoOf(file, { state: "missing", id, reason, sequence });
  }
  return null;
}

function nameOf(label: Label): string {
  return label.name === "" ? "" : ` (${label.name})`;
}

export function infoOf(
  file: Pick<MediumFile, "path" | "sizeBytes">,
  about: { state: MediumInfo["state"]; id: string; reason: string; sequence: number },
): MediumInfo {
  return {
    ...about,
    path: file.path,
    sizeBytes: file.sizeBytes,
    freeBytes: 0,
    zeroedBytes: 0,
    largestVolumeBytes: 0,
    reason: asText(about.reason),
    errors: 0,
  };
}
