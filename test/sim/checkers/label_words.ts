import type { Generation } from "../../../protocol/config/bodies.ts";
import { EXTENT_STEP_BYTES, LABEL_REGION_BYTES, MIB } from "../../../protocol/core/limits.ts";
import { type Copy, copyBStart, decodeCopy, type Decoded } from "../../../protocol/label/codec.ts";
import type { Label, VolumeRecord } from "../../../protocol/label/label.ts";
import type { SimMedium } from "../../../storage/io/sim_medium.ts";
import type { SimLoss, SimWrite } from "../../../storage/io/sim_world.ts";

/**
 * What a write to a medium's label says, for the trace: which copy, its sequence, and what differs
 * from the other copy, which is the label as it was before; all of it where there is no other. Null
 * for a write elsewhere. To be called once the write is on the medium.
 */
export function labelWriteInWords(
  { medium, position, length, isWhole }: Pick<
    SimWrite,
    "medium" | "position" | "length" | "isWhole"
  >,
): string | null {
  const copy = copyIn(medium, { position, length });
  if (copy === null) return null;
  const name = `label copy ${copy} of ${medium.path}`;
  const other = copy === "A" ? "B" : "A";
  const [now, before] = [copyOn(medium, copy), copyOn(medium, other)];
  if ("reason" in now) return `${name}${isWhole ? "" : ", written in part"}: none (${now.reason})`;
  const { label } = now;
  const says = `${name}, sequence ${label.sequence}`;
  if ("reason" in before) return `${says}: ${labelInWords(label)}; no copy ${other}`;
  const changes = changesInWords(before.label, label);
  if (before.label.sequence === label.sequence && changes.length === 0) {
    return `${says}: as copy ${other}`;
  }
  const what = changes.join("; ") || "nothing else";
  return `${says} (copy ${other}: ${before.label.sequence}): ${what}`;
}

/** Which copies a medium has left, where it lost something of its label; null where it did not. */
export function labelLossInWords({ medium, positions }: SimLoss): string | null {
  const start = copyBStart(medium.sizeBytes);
  if (!positions.some((at) => at < LABEL_REGION_BYTES || at >= start)) return null;
  const words = (["A", "B"] as const).map((copy) => {
    const found = copyOn(medium, copy);
    return `copy ${copy} ${
      "label" in found ? `sequence ${found.label.sequence}` : `none (${found.reason})`
    }`;
  });
  return `label of ${medium.path} is now: ${words.join(", ")}`;
}

/** All that a label says of who may use what. */
export function labelInWords(label: Label): string {
  const { epoch, instance, opens, volumes } = label;
  return [
    stationInWords({ epoch, instance }),
    `opened ${opens} times`,
    `${zeroedMib(label)} MiB known to be zero`,
    ...volumes.map((volume) => `${volumeName(volume)}: ${volumeParts(volume).join(", ")}`),
    ...volumes.length === 0 ? ["no volumes"] : [],
  ].join("; ");
}

/** In what the later of two labels differs from the earlier one, but for its sequence. */
export function changesInWords(before: Label, now: Label): string[] {
  const changes: string[] = [];
  if (before.mediumId !== now.mediumId) changes.push(`another medium, ${now.mediumId}`);
  if (before.unitId !== now.unitId) changes.push(`another unit's, ${now.unitId}`);
  if (before.clusterId !== now.clusterId) changes.push(`cluster ${now.clusterId || "none"}`);
  if (stationInWords(before) !== stationInWords(now)) changes.push(stationInWords(now));
  if (before.opens !== now.opens) changes.push(`opened ${now.opens} times`);
  const zeroed = [zeroedMib(before), zeroedMib(now)];
  if (zeroed[0] !== zeroed[1]) changes.push(`${zeroed[1]} MiB known to be zero (was ${zeroed[0]})`);
  const earlier = new Map(before.volumes.map((volume) => [volume.id, volume]));
  for (const volume of now.volumes) {
    const was = earlier.get(volume.id);
    earlier.delete(volume.id);
    const parts = volumeParts(volume);
    if (was === undefined) {
      changes.push(`new ${volumeName(volume)}: ${parts.join(", ")}`);
      continue;
    }
    const old = volumeParts(was);
    const news = parts.flatMap((part, i) => part === old[i] ? [] : [`${part} (was ${old[i]})`]);
    if (news.length > 0) changes.push(`${volumeName(volume)}: ${news.join("; ")}`);
  }
  for (const gone of earlier.values()) changes.push(`${volumeName(gone)} is gone`);
  return changes;
}

function volumeName({ id, leg }: VolumeRecord): string {
  return `volume ${id} (leg ${leg.leg} of ${leg.ownerName}/${leg.diskName})`;
}

/** Always as many, in the same order. */
function volumeParts(volume: VolumeRecord): string[] {
  const { sizeBytes, media, extents, grant, fencedThrough, deleting, leg } = volume;
  const runs = extents.map(([index, start, steps]) =>
    `${media.length > 1 ? `${media[index]!.slice(0, 8)}:` : ""}${start}..${start + steps - 1}`
  );
  const holder = grant?.hostId === leg.ownerId ? leg.ownerName : grant?.hostId;
  const direct = grant?.direct === undefined ? "" : " without agent";
  return [
    `${sizeBytes / MIB} MiB`,
    `in MiB ${runs.join(" ")}`,
    grant === null
      ? "granted to nobody"
      : `granted to ${holder}${direct} as ${generationInWords(grant.generation)}, ${
        grant.sizeBytes / MIB
      } MiB, ${grant.state}`,
    fencedThrough === null
      ? "nothing fenced"
      : `fenced through ${generationInWords(fencedThrough)}`,
    deleting ? "being deleted" : "kept",
  ];
}

function generationInWords({ epoch, counter }: Generation): string {
  return `${epoch}.${counter}`;
}

function stationInWords({ epoch, instance }: Pick<Label, "epoch" | "instance">): string {
  return `station epoch ${epoch} instance ${instance.slice(0, 8) || "none"}`;
}

function zeroedMib({ zeroed }: Label): number {
  return zeroed.reduce((sum, [, steps]) => sum + steps, 0) * EXTENT_STEP_BYTES / MIB;
}

/** The copy that begins in a range of a medium. */
function copyIn(
  medium: SimMedium,
  { position, length }: { readonly position: number; readonly length: number },
): Copy | null {
  const isIn = (start: number) => position <= start && start < position + length;
  if (isIn(0)) return "A";
  return isIn(copyBStart(medium.sizeBytes)) ? "B" : null;
}

/** As everybody reads it now. */
function copyOn(medium: SimMedium, copy: Copy): Decoded {
  const bytes = new Uint8Array(LABEL_REGION_BYTES);
  medium.read(bytes, copy === "A" ? 0 : copyBStart(medium.sizeBytes));
  return decodeCopy(bytes, copy);
}
