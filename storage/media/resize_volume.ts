import { isDeepStrictEqual } from "node:util";
import type { VolumeInfo, VolumeResize } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { EXTENTS_PER_VOLUME_MAX } from "../../protocol/core/limits.ts";
import type { VolumeRecord } from "../../protocol/label/label.ts";
import { withoutVolume, withShorter } from "./changes.ts";
import { firstSteps, stepsFor } from "./first_steps.ts";
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
    requireWhole(state, volume);
    checkSize(body.sizeBytes);
    return body.sizeBytes < record.sizeBytes
      ? await takeEndBack(state, volume, body)
      : await grow(state, volume, body);
  });
}

function grow(state: StoreState, volume: Volume, body: VolumeResize): Promise<VolumeInfo> {
  const { record } = volume;
  const pieces = space(state, {
    steps: stepsFor(body.sizeBytes) - stepsOf(record),
    extentsMax: EXTENTS_PER_VOLUME_MAX - record.extents.length,
    sizeBytes: body.sizeBytes,
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
 * (resolve.ts).
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
  const kept = mediaOf(state, next);
  const left = mediaOf(state, record).filter((medium) => !kept.includes(medium));
  volume.record = next;
  await Promise.all(kept.map((medium) => medium.update(withShorter(next))));
  await Promise.all(left.map((medium) => medium.update(withoutVolume(record.id))));
  return changed(state, volume);
}
