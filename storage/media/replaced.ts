import { isDeepStrictEqual } from "node:util";
import { asText, type MediumInfo } from "../../protocol/config/bodies.ts";
import { REPLACED_PARTS_MAX } from "../../protocol/core/limits.ts";
import type { Label, VolumeRecord } from "../../protocol/label/label.ts";

/**
 * A volume of which one medium was replaced by an older copy of it is broken, and nobody uses it.
 * The labels of its other media keep which one it was: when that is put back and adopted, the
 * volume is whole again, since nothing of it was written meanwhile.
 */

/** What an older copy was adopted in place of: its label had this sequence, or a higher one. */
export interface Aside {
  readonly mediumId: string;
  readonly sequence: number;
}

/**
 * The label as an opening writes it. A part stays replaced by the first copy that was adopted: its
 * volume was not whole since. What was whole in between may have been written to.
 */
export function withReplaced(
  label: Label,
  { aside, broken }: { readonly aside: Aside | null; readonly broken: ReadonlySet<string> },
): Label {
  const { replaced: old = [], ...rest } = label;
  const replaced = old.filter(({ volumeId }) => broken.has(volumeId));
  if (aside !== null && aside.mediumId !== label.mediumId) {
    for (const { id: volumeId, media } of label.volumes) {
      const isKnown = replaced.some((part) =>
        part.volumeId === volumeId && part.mediumId === aside.mediumId
      );
      if (isKnown || !broken.has(volumeId) || !media.includes(aside.mediumId)) continue;
      if (replaced.length < REPLACED_PARTS_MAX) replaced.push({ volumeId, ...aside });
    }
  }
  return replaced.length === 0 ? rest : { ...rest, replaced };
}

/** What the others hold of a volume whose right part this is; null when it is none. */
export function heldBeside(
  record: VolumeRecord,
  { label, others }: { readonly label: Label; readonly others: readonly Label[] },
): VolumeRecord | null {
  for (const other of others) {
    const isPart = (other.replaced ?? []).some(({ volumeId, mediumId, sequence }) =>
      volumeId === record.id && mediumId === label.mediumId && label.sequence >= sequence
    );
    const held = other.volumes.find(({ id }) => id === record.id);
    if (isPart && isDeepStrictEqual(held, record)) return record;
  }
  return null;
}

/** Told as what it is: an old copy is not. */
export function besideReplaced(info: MediumInfo, labels: readonly Label[]): MediumInfo {
  const wasReplaced = info.state === "stale" &&
    labels.some(({ replaced = [] }) =>
      replaced.some(({ mediumId, sequence }) => mediumId === info.id && info.sequence >= sequence)
    );
  if (!wasReplaced) return info;
  const reason = `${
    info.reason ?? info.state
  }, or the one in whose place an older copy was adopted`;
  return { ...info, reason: asText(reason), wasReplaced: true };
}
