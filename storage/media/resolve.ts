import { isDeepStrictEqual } from "node:util";
import { encode } from "cborg";
import { asText } from "../../protocol/config/bodies.ts";
import { hexOf } from "../../protocol/core/bytes.ts";
import type { Label, VolumeRecord } from "../../protocol/label/label.ts";
import { ADOPTED_SEQUENCE_STEP } from "./adopt_label.ts";
import { grantedMedia } from "./first_steps.ts";

/**
 * Which record of a volume counts when media disagree, because an update was cut between them.
 *
 * A volume's record is written to every medium that it has extents on. Media that it is new on are
 * written first, those that hold it after them; the change is acknowledged after all. So, of the
 * versions that the media which are here hold:
 *
 * 1. A version marked `deleting` wins over all: the deletion had been decided on and its owner was
 *    shut out before. It is dropped everywhere once all of its media are here (before that, a
 *    medium that comes later would bring it back).
 * 2. Else a version is *complete* when all media that it names are here and hold it. The complete
 *    version counts. A newer version beside it can only be a growth that reached none of the old
 *    media, so it was never acknowledged: it is dropped. (A fence never gains media, so it cannot
 *    be lost by this rule.) Of several complete versions on different media those that were never
 *    granted hold nothing: a volume was made anew while the medium of its first making was away, so
 *    they are dropped. Two that were granted are a conflict: failed.
 * 3. Else the newest version counts. When one of its media is missing, the volume is incomplete.
 *    When all are here and hold it or its predecessor, it is rolled forward: a fence that was begun
 *    stays. Anything else no crash leaves: failed, nothing is changed, and the reason says what was
 *    found.
 *
 * A growth that failed on a medium that it was to gain is given up: the next change has the same
 * sequence. When that is cut, the growth's record counts as one that no media hold. That medium may
 * come back long after, when the volume was changed often or deleted. So what is only on media
 * where nothing of it was ever granted is dropped also when another of its media is here and knows
 * nothing of the volume: it was taken away there, or never came there, as a creation that was cut.
 *
 * A volume that gives back an end which no grant ever covered may lose media: the others are
 * written first, and what is left on those is dropped with rule 2, or when it is rolled forward.
 */
export interface Resolved {
  readonly record: VolumeRecord;
  readonly state: "whole" | "incomplete" | "failed";
  readonly reason: string | null;
}

/** What is to be written to a medium: the record as it shall be, or null to drop it. */
export interface Fix {
  readonly mediumId: string;
  readonly volumeId: string;
  readonly record: VolumeRecord | null;
}

export interface Resolution {
  readonly volumes: readonly Resolved[];
  readonly fixes: readonly Fix[];
}

interface Version {
  readonly record: VolumeRecord;
  readonly holders: Set<string>;
}

export function resolveVolumes(labels: readonly Label[]): Resolution {
  const here = new Map(labels.map((label) => [label.mediumId, label]));
  const volumes: Resolved[] = [];
  const fixes: Fix[] = [];
  for (const [volumeId, versions] of versionsById(labels)) {
    const verdict = resolveOne(versions, here);
    for (const [mediumId, record] of verdict.fixes) fixes.push({ mediumId, volumeId, record });
    if (verdict.volume !== null) volumes.push(verdict.volume);
  }
  volumes.sort((a, b) => a.record.number - b.record.number);
  return { volumes, fixes };
}

interface Verdict {
  readonly volume: Resolved | null;
  readonly fixes: readonly (readonly [mediumId: string, record: VolumeRecord | null])[];
}

function resolveOne(versions: Version[], here: ReadonlyMap<string, Label>): Verdict {
  versions.sort((a, b) =>
    b.record.sequence - a.record.sequence || b.record.number - a.record.number
  );
  const deleting = versions.find(({ record }) => record.deleting);
  if (deleting !== undefined) {
    const missing = missingOf(deleting.record, here);
    if (missing.length > 0) {
      return keep(deleting.record, "incomplete", `it is being deleted; ${absent(missing)}`);
    }
    return { volume: null, fixes: dropAll(versions) };
  }
  const complete = versions.filter(({ record, holders }) =>
    record.media.every((id) => holders.has(id))
  );
  const used = complete.filter(({ record }) => wasGranted(record));
  if (used.length > 1) {
    return keep(
      versions[0]!.record,
      "failed",
      "two of its records are complete, on different media",
    );
  }
  const counts = used[0] ?? complete[0];
  if (counts !== undefined) {
    const { record } = counts;
    const others = versions.filter((version) => version !== counts);
    return { volume: { record, state: "whole", reason: null }, fixes: dropAll(others) };
  }
  const rests = versions.filter((version) =>
    isGivenUp(version, versions) || isLeftBehind(version, { versions, here })
  );
  if (rests.length > 0) {
    const others = versions.filter((version) => !rests.includes(version));
    const verdict = others.length > 0 ? resolveOne(others, here) : { volume: null, fixes: [] };
    return { ...verdict, fixes: [...dropAll(rests), ...verdict.fixes] };
  }
  const newest = versions[0]!;
  const missing = missingOf(newest.record, here);
  if (missing.length > 0) return keep(newest.record, "incomplete", absent(missing));
  return rollForward(versions, here);
}

/**
 * A growth that failed on a medium that it was to gain, and that another change came after: that
 * has the same sequence, and is where the growth never came.
 */
function isGivenUp({ record, holders }: Version, versions: readonly Version[]): boolean {
  return versions.some((other) =>
    other.record !== record && other.record.sequence === record.sequence &&
    record.media.some((id) => other.holders.has(id)) &&
    !other.record.media.some((id) => holders.has(id))
  );
}

/**
 * It holds nothing that was ever granted, and one of its media is here and knows nothing of the
 * volume: it never was on all of them, or was taken away there while its holder was not there.
 */
function isLeftBehind(
  { record, holders }: Version,
  { versions, here }: { versions: readonly Version[]; here: ReadonlyMap<string, Label> },
): boolean {
  return !grantedMedia(record).some((id) => holders.has(id)) &&
    record.media.some((id) => here.has(id) && !versions.some((one) => one.holders.has(id)));
}

function wasGranted({ grant, fencedThrough }: VolumeRecord): boolean {
  return grant !== null || fencedThrough !== null;
}

function rollForward(versions: Version[], here: ReadonlyMap<string, Label>): Verdict {
  const { record, holders } = versions[0]!;
  const fixes: [string, VolumeRecord | null][] = versions.flatMap(({ record: old, holders }) =>
    [...holders].filter((id) => !record.media.includes(id) && !grantedMedia(old).includes(id))
      .map((id): [string, null] => [id, null])
  );
  for (const mediumId of record.media) {
    if (holders.has(mediumId)) continue;
    const old = versions.find((version) => version.holders.has(mediumId))?.record;
    if (old === undefined) {
      return keep(record, "failed", `medium ${mediumId} does not know this volume`);
    }
    if (old.sequence !== record.sequence - 1 && !isTakenOverAgain(old, record)) {
      const found = `record ${old.sequence} on medium ${mediumId}, ${record.sequence} elsewhere`;
      return keep(record, "failed", `its media hold records that no crash leaves: ${found}`);
    }
    if (overlaps(record, here.get(mediumId)!)) {
      return keep(record, "failed", `its space on medium ${mediumId} was given to another volume`);
    }
    fixes.push([mediumId, record]);
  }
  return { volume: { record, state: "whole", reason: null }, fixes };
}

/**
 * Its media were taken over one after the other, the second while the first could not be used: each
 * time it was given a new number, of which the later one counts.
 */
function isTakenOverAgain(old: VolumeRecord, record: VolumeRecord): boolean {
  return record.sequence > ADOPTED_SEQUENCE_STEP && old.number < record.number &&
    isDeepStrictEqual({ ...old, number: record.number }, record);
}

function keep(record: VolumeRecord, state: "incomplete" | "failed", reason: string): Verdict {
  return { volume: { record, state, reason: asText(reason) }, fixes: [] };
}

function dropAll(versions: readonly Version[]): [string, null][] {
  return versions.flatMap(({ holders }) => [...holders].map((id): [string, null] => [id, null]));
}

function missingOf(record: VolumeRecord, here: ReadonlyMap<string, Label>): string[] {
  return record.media.filter((id) => !here.has(id));
}

function absent(missing: readonly string[]): string {
  const which = missing.slice(0, 4).join(", ") + (missing.length > 4 ? ", …" : "");
  return missing.length === 1 ? `medium ${which} is not there` : `media ${which} are not there`;
}

/** Whether other volumes on the medium have any of the record's extents there. */
function overlaps(record: VolumeRecord, label: Label): boolean {
  const wanted = runsOn(record, label.mediumId);
  return label.volumes.some((other) =>
    other.id !== record.id &&
    runsOn(other, label.mediumId).some(([start, length]) =>
      wanted.some(([from, count]) => start < from + count && from < start + length)
    )
  );
}

export function runsOn(record: VolumeRecord, mediumId: string): [start: number, length: number][] {
  const index = record.media.indexOf(mediumId);
  return record.extents.filter((extent) => extent[0] === index)
    .map(([, start, length]) => [start, length]);
}

function versionsById(labels: readonly Label[]): Map<string, Version[]> {
  const byId = new Map<string, Map<string, Version>>();
  for (const label of labels) {
    for (const record of label.volumes) {
      const versions = byId.get(record.id) ?? new Map<string, Version>();
      byId.set(record.id, versions);
      const key = hexOf(encode(record));
      const version = versions.get(key) ?? { record, holders: new Set<string>() };
      versions.set(key, version);
      version.holders.add(label.mediumId);
    }
  }
  return new Map([...byId].map(([id, versions]) => [id, [...versions.values()]]));
}
