import type { VolumeDelete } from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { withoutVolume } from "./changes.ts";
import { grantedMedia } from "./first_steps.ts";
import type { StoreState } from "./store_state.ts";
import type { Volume } from "./volume.ts";
import {
  inTurn,
  isRepeat,
  mediaOf,
  mismatch,
  requireSequence,
  requireWhole,
  writeRecord,
} from "./volume_changes.ts";

export async function deleteVolume(state: StoreState, body: VolumeDelete): Promise<null> {
  await state.accept(body.station);
  const volume = state.volumes.get(body.volumeId);
  if (volume === undefined) return null;
  return await inTurn(volume, async () => {
    if (state.volumes.get(body.volumeId) !== volume) return null;
    const { record } = volume;
    if (!record.deleting) requireSequence(state, volume, body);
    else if (!isRepeat(record, body)) throw mismatch(state, volume, body);
    if (volume.broken?.isFinal || isUnusedEnd(state, volume)) {
      return await dropEverywhere(state, record.id);
    }
    requireWhole(state, volume);
    if (record.grant !== null && record.grant.state !== "fenced") {
      throw new DvsanError(
        "busy",
        `Cannot delete volume ${record.id}: it is granted to host ${record.grant.hostId}. ` +
          "Revoke the grant first.",
      );
    }
    const media = mediaOf(state, record);
    requireNoRest(state, record.id);
    // With several media a crash could leave half of a deletion; so it is announced on all first.
    if (media.length > 1 && !record.deleting) {
      const next = { ...record, sequence: record.sequence + 1, deleting: true };
      await writeRecord(state, volume, { next, gaining: new Set() });
    }
    await Promise.all(media.map((medium) => medium.update(withoutVolume(record.id))));
    state.volumes.delete(record.id);
    state.bump();
    state.kick();
    return null;
  });
}

/**
 * A growth that failed may have left a record on the medium that it was to gain, and an opening one
 * that it was to drop: nothing is written to those media before they were opened anew. Were the
 * others gone by then, nobody could tell that from a volume that has lost its first part.
 */
function requireNoRest(state: StoreState, volumeId: string): void {
  const failed = [...state.media.values()].find((medium) =>
    !medium.ok &&
    [medium.label, medium.nextLabel].some(({ volumes }) =>
      volumes.some(({ id }) => id === volumeId)
    )
  );
  if (failed === undefined) return;
  throw new DvsanError(
    "io",
    `Cannot delete volume ${volumeId}: there may be a record of it on medium ${failed.id} ` +
      `(${failed.file.path}), which is ${failed.state}. Have that opened anew first: ` +
      "dvsan ctl media reopen.",
  );
}

/**
 * All that is here of it came with media of another unit, and no grant ever covered it: an end that
 * a growth left. The rest of the volume was never here, and nobody waits for it.
 */
export function isUnusedEnd(state: StoreState, { record, broken }: Volume): boolean {
  if (broken === null) return false;
  const known = state.sequences();
  const granted = grantedMedia(record);
  return record.media.every((id) => {
    const medium = state.media.get(id);
    return medium === undefined ? !Object.hasOwn(known, id) : medium.ok && !granted.includes(id);
  });
}

/** Of a volume that is never served again here: every record of it that is here. */
async function dropEverywhere(state: StoreState, volumeId: string): Promise<null> {
  requireNoRest(state, volumeId);
  const holders = state.okMedia().filter(({ nextLabel }) =>
    nextLabel.volumes.some((record) => record.id === volumeId)
  );
  await Promise.all(holders.map((medium) => medium.update(withoutVolume(volumeId))));
  state.volumes.delete(volumeId);
  state.bump();
  state.kick();
  return null;
}
