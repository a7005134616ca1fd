import { isDeepStrictEqual } from "node:util";
import type { VolumeInfo, VolumeResize } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { EXTENTS_PER_VOLUME_MAX } from "../../protocol/core/limits.ts";
import type { VolumeRecord } from "../../protocol/label/label.ts";
import { withoutVolume, withShorter } from "./changes.ts";
import { firstSteps, stepsFor, withoutEnd } from "./first_steps.ts";
import type { Medium } from "./medium.ts";
import type { StoreState } from "./store_state.ts";
import { stepsOf, type Volume } from "./volume.ts";
import {
  changed,
  checkSize,
  extentsWith,
  findVolume,
  inTurn,
  isRepeat,
  mediaOf,
  requireSequence,
  requireWhole,
  space,
  writeRecord,
} from "./volume_changes.ts";

/** Grows a volume, or gives back an end that no grant ever covered. */
export async function resizeVolume(state: StoreState, body: VolumeResize): Promise<VolumeInfo> {
  await state.accept(body.station);
  const volume = findVolume(state, body);
  return await inTurn(volume, async () => {
    const { record } = volume;
    const done = record.sizeBytes === body.sizeBytes && isDeepStrictEqual(record.leg, body.leg);
    if (done && isRepeat(record, body)) return state.volumeInfo(volume);
    requireSequence(state, volume, body);
    checkSize(body.sizeBytes);
    if (body.sizeBytes < record.sizeBytes) return await takeEndBack(state, volume, body);
    requireWhole(state, volume);
    return await grow(state, volume, body);
  });
}

function grow(state: StoreState, volume: Volume, body: VolumeResize): Promise<VolumeInfo> {
  const { record } = volume;
  const pieces = space(state, {
    steps: stepsFor(body.sizeBytes) - stepsOf(record),
    extentsMax: EXTENTS_PER_VOLUME_MAX - record.extents.length,
    sizeBytes: body.sizeBytes,
    grown: record,
  });
  const next: VolumeRecord = {
    ...record,
    ...extentsWith(record, pieces),
    sequence: record.sequence + 1,
    sizeBytes: body.sizeBytes,
    leg: body.leg,
  };
  const gaining = new Set(pieces.map((piece) => piece.mediumId));
  return writeRecord(state, volume, { next, gaining });
}

/**
 * What a growth added that was given up before it was granted. Whoever asks may be wrong about what
 * a host holds, so the label's own grant decides; its size only rises (access_changes.ts), so it
 * is the most that was ever granted. Media that lose their last extent are written last: a crash
 * in between leaves the shorter record complete, and the rest of the longer one is dropped
 * (resolve.ts). So is what a medium has that failed meanwhile or is away: the disk lives on without
 * one that never held anything of it.
 */
async function takeEndBack(
  state: StoreState,
  volume: Volume,
  body: VolumeResize,
): Promise<VolumeInfo> {
  const { record } = volume;
  const grantedBytes = record.grant?.sizeBytes ?? 0;
  if (body.sizeBytes < grantedBytes) {
    throw new DvsanError(
      "invalid",
      `Cannot shrink volume ${record.id} from ${record.sizeBytes} to ${body.sizeBytes} bytes: ` +
        `${grantedBytes} bytes of it were granted, and may hold a host's data.`,
      { details: { grantedBytes } },
    );
  }
  const next: VolumeRecord = {
    ...record,
    ...firstSteps(record, stepsFor(body.sizeBytes)),
    sequence: record.sequence + 1,
    sizeBytes: body.sizeBytes,
    leg: body.leg,
  };
  if (!standsOn(state, volume, next.media)) requireWhole(state, volume);
  await shorten(state, volume, next);
  return changed(state, volume);
}

/**
 * The media in `lost` are given up. Where no grant covered anything on them, the volume is whole
 * without them, and what lies behind them given back: its unit does that by itself, since it is
 * nothing that anybody was ever granted. False: something of it is lost.
 */
export function giveUpEnd(state: StoreState, volume: Volume, lost: readonly string[]): boolean {
  const { record, broken } = volume;
  if (lost.length === 0 || broken === null || broken.isFinal) return false;
  const next = broken.state === "incomplete" ? withoutEnd(record, lost) : null;
  if (next === null) return false;
  const kept = mediaOf(state, next);
  if (kept.some((medium) => medium.ok && !holds(medium, record))) return false;
  const bad = kept.find(({ ok }) => !ok);
  if (bad !== undefined) {
    // Nothing of it is lost: once that was opened anew, the end is given back.
    const reason = `medium ${bad.id} is ${bad.state}: ${bad.reason}`;
    volume.broken = { state: "incomplete", reason };
    return true;
  }
  state.options.log.warn("gave back an end that nobody was granted, with a medium given up", {
    volume: record.id,
    media: lost.join(", "),
    sizeBytes: next.sizeBytes,
  });
  const done = shorten(state, volume, next).then(() => void changed(state, volume), (error) => {
    // That medium has failed and says so itself.
    if (!(error instanceof DvsanError)) throw error;
  });
  volume.turn = Promise.all([volume.turn, done]);
  return true;
}

async function shorten(state: StoreState, volume: Volume, next: VolumeRecord): Promise<void> {
  const { record } = volume;
  const kept = mediaOf(state, next);
  const left = state.okMedia().filter(({ id }) =>
    record.media.includes(id) && !next.media.includes(id)
  );
  volume.record = next;
  volume.broken = null;
  await Promise.all(kept.map((medium) => medium.update(withShorter(next))));
  volume.durable = null;
  await Promise.all(left.map((medium) => medium.update(withoutVolume(record.id))));
}

/** Whether these are all in order and have the volume as it is; others of it may be away. */
function standsOn(
  { media }: StoreState,
  { record, broken }: Volume,
  ids: readonly string[],
): boolean {
  if (broken !== null && (broken.isFinal || broken.state !== "incomplete")) return false;
  return ids.every((id) => {
    const medium = media.get(id);
    return medium !== undefined && medium.ok && holds(medium, record);
  });
}

function holds({ nextLabel }: Medium, { id, sequence }: VolumeRecord): boolean {
  return nextLabel.volumes.some((held) => held.id === id && held.sequence === sequence);
}
