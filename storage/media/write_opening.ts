import { withOpening } from "../../protocol/config/openings.ts";
import type { Log } from "../../protocol/core/log.ts";
import { OPENING_ID_BYTES } from "../../protocol/core/limits.ts";
import type { Random } from "../../protocol/core/random.ts";
import { withoutVolume, withRecord } from "./changes.ts";
import type { Medium } from "./medium.ts";
import { type Aside, withReplaced } from "./replaced.ts";
import type { Fix, Resolution } from "./resolve.ts";
import type { Bound } from "./store_types.ts";
import { Volume } from "./volume.ts";

export interface OpeningToWrite {
  /** With what a crash between media left to be done, on any of them. */
  readonly resolution: Resolution;
  readonly aside: Aside | null;
  readonly next: {
    readonly opens: number;
    readonly number: number;
    readonly epoch: number;
    readonly instance: string;
  };
  readonly log: Log;
  readonly random: Random;
  readonly writing: Bound | undefined;
}

/** Writes every label once, as an opening does; a medium where that cannot be done has failed. */
export async function writeOpening(
  media: readonly Medium[],
  { resolution, aside, next, log, random, writing }: OpeningToWrite,
): Promise<void> {
  const { fixes, volumes } = resolution;
  const id = random.bytes(OPENING_ID_BYTES);
  const broken = new Set(
    volumes.filter(({ state }) => state !== "whole").map(({ record }) => record.id),
  );
  await Promise.allSettled(media.map((medium) => {
    const own = fixes.filter((fix) => fix.mediumId === medium.id);
    for (const { volumeId, record } of own) {
      const action = record === null ? "dropped" : "rolled forward";
      log.info(`a change that a crash cut between media was ${action}`, {
        volume: volumeId,
        medium: medium.id,
      });
    }
    const written = medium.update((label) => ({
      ...own.reduce((fixed, fix) => changeOf(fix)(fixed), withReplaced(label, { aside, broken })),
      opens: next.opens,
      openings: withOpening(label.openings ?? [], [id, label.sequence + 1]),
      nextNumber: Math.max(label.nextNumber, next.number),
      epoch: next.epoch,
      instance: next.instance,
    }));
    return writing === undefined ? written : inTime(medium, writing(written));
  }));
}

/**
 * What was to be dropped and is on a label yet that could not be written. It is told as long as it
 * is there: nobody may take it for deleted.
 */
export function notDropped(
  { volumes, fixes }: Resolution,
  media: ReadonlyMap<string, Medium>,
): Volume[] {
  const found = new Map<string, Volume>();
  for (const { volumeId, record, mediumId } of fixes) {
    if (record !== null || volumes.some((one) => one.record.id === volumeId)) continue;
    const medium = media.get(mediumId)!;
    const there = medium.label.volumes.find(({ id }) => id === volumeId);
    if (there === undefined || found.has(volumeId)) continue;
    const reason = `it is to be dropped, and medium ${medium.id} is ${medium.state}: ` +
      (medium.reason ?? "its label has it yet");
    found.set(volumeId, new Volume(there, { state: "failed", reason }));
  }
  return [...found.values()];
}

/** A medium whose label is not written in time is not used; nobody waits for it. */
async function inTime(medium: Medium, written: ReturnType<Bound>): Promise<void> {
  if (await written !== null) return;
  medium.errors++;
  medium.fail("failed", "writing its label took too long: its device is stalled");
}

function changeOf(fix: Fix) {
  const { record, volumeId } = fix;
  return record === null ? withoutVolume(volumeId) : withRecord(record);
}
