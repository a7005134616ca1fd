import type { VolumeCreate, VolumeInfo } from "../../protocol/config/bodies.ts";
import { isDeepStrictEqual } from "node:util";
import { DvsanError } from "../../protocol/core/errors.ts";
import {
  EXTENT_STEP_BYTES,
  EXTENTS_PER_VOLUME_MAX,
  SIZE_STEP_BYTES,
  VOLUME_HEADER_BYTES,
  VOLUMES_PER_UNIT_MAX,
} from "../../protocol/core/limits.ts";
import { encodeBody } from "../../protocol/label/codec.ts";
import type { VolumeRecord } from "../../protocol/label/label.ts";
import { allocate, type Piece } from "./allocate.ts";
import { withoutVolume, withRecord } from "./changes.ts";
import type { Medium } from "./medium.ts";
import { largestVolumeBytes } from "./medium_info.ts";
import { runsOn } from "./resolve.ts";
import type { Station, StoreState } from "./store_state.ts";
import { troubleOf, Volume } from "./volume.ts";

/** What every change names (protocol/config/bodies.ts). */
export interface Change {
  readonly station: Station;
  readonly volumeId: string;
  readonly expectedSequence: number;
}

export async function createVolume(state: StoreState, body: VolumeCreate): Promise<VolumeInfo> {
  await state.accept(body.station);
  while (!state.volumes.has(body.volumeId) && !state.numbers.isReserved) {
    await state.numbers.reserve();
  }
  const existing = state.volumes.get(body.volumeId);
  if (existing !== undefined) {
    return await inTurn(existing, () => repeatedCreate(state, existing, body));
  }
  if (body.expectedSequence !== 0) throw mismatch(state, null, body);
  checkSize(body.sizeBytes);
  if (state.volumes.size >= VOLUMES_PER_UNIT_MAX) {
    throw new DvsanError("limit", `This unit holds ${VOLUMES_PER_UNIT_MAX} volumes already.`);
  }
  const pieces = space(state, {
    steps: Math.ceil((body.sizeBytes + VOLUME_HEADER_BYTES) / EXTENT_STEP_BYTES),
    extentsMax: EXTENTS_PER_VOLUME_MAX,
    sizeBytes: body.sizeBytes,
  });
  const record: VolumeRecord = {
    id: body.volumeId,
    number: state.numbers.next(),
    sequence: 1,
    sizeBytes: body.sizeBytes,
    ...extentsWith({ media: [], extents: [] }, pieces),
    leg: body.leg,
    grant: null,
    fencedThrough: null,
    deleting: false,
  };
  const own = mediaOf(state, record);
  for (const medium of own) medium.checkFits(withRecord(record));
  const volume = new Volume(record, null);
  volume.isMaking = true;
  state.volumes.set(record.id, volume);
  // Begun before anything is awaited, so that nobody else is given this space or number. A number
  // is never used again, also when the volume's media are away at the next start.
  const others = state.okMedia().filter((medium) => !own.includes(medium));
  const writing = Promise.all([
    ...own.map((medium) => medium.update(withRecord(record))),
    state.besides(Promise.all(others.map((medium) => keepNumber(medium, record.number + 1)))),
  ]);
  return await inTurn(volume, async () => {
    await writing;
    volume.isMaking = false;
    return changed(state, volume);
  });
}

function repeatedCreate(state: StoreState, volume: Volume, body: VolumeCreate): VolumeInfo {
  const { record } = volume;
  const same = record.sequence === 1 && body.expectedSequence === 0 && !record.deleting &&
    record.sizeBytes === body.sizeBytes && isDeepStrictEqual(record.leg, body.leg);
  if (!same) throw mismatch(state, volume, body);
  requireWhole(state, volume);
  return state.volumeInfo(volume);
}

async function keepNumber(medium: Medium, number: number): Promise<void> {
  try {
    await medium.update((label) => ({
      ...label,
      nextNumber: Math.max(label.nextNumber, number),
    }));
  } catch (error) {
    // That medium has failed and says so itself; the volume is not on it.
    if (!(error instanceof DvsanError)) throw error;
  }
}

/**
 * Writes the record to all of the volume's media, those that it is new on first (resolve.ts says
 * why), and makes it current. Refuses before any change when it does not fit a label.
 */
export async function writeRecord(
  state: StoreState,
  volume: Volume,
  change: { next: VolumeRecord; gaining: ReadonlySet<string>; essential?: boolean },
): Promise<VolumeInfo> {
  const { next, gaining } = change;
  const media = mediaOf(state, next);
  // Fences use the reserve that everything else leaves free.
  if (change.essential !== true) { for (const it of media) it.checkFits(withRecord(next)); }
  // Not those that hold the volume, though they gain: a cut behind one of them alone would leave no
  // record that is complete.
  const isNew = ({ id }: Medium) => gaining.has(id) && !volume.record.media.includes(id);
  const first = media.filter(isNew);
  const second = media.filter((medium) => !isNew(medium));
  if (first.length > 0) {
    // What was checked to fit must still fit when its turn comes, and what is free be so.
    const bytes = encodeBody(next).length;
    const promises = second.map((medium) => medium.promise(bytes, runsOn(next, medium.id)));
    try {
      await Promise.all(first.map((medium) => medium.update(withRecord(next))));
    } catch (error) {
      for (const medium of first) takeBack(state, medium, next.id);
      throw error;
    } finally {
      for (const end of promises) end();
    }
  }
  // From here on the new record may be on an old medium, and then it is what opening finds.
  volume.durable ??= { grant: volume.record.grant };
  volume.record = next;
  await Promise.all(second.map((medium) => medium.update(withRecord(next))));
  volume.durable = null;
  return changed(state, volume);
}

/** What a growth put on a medium, and another did not take: nobody waits until it is gone. */
function takeBack(state: StoreState, medium: Medium, volumeId: string): void {
  if (!medium.ok) return;
  medium.update(withoutVolume(volumeId)).then(() => state.kick(), (error) => {
    // That medium has failed and says so itself.
    if (!(error instanceof DvsanError)) throw error;
  });
}

export function changed(state: StoreState, volume: Volume): VolumeInfo {
  state.bump();
  state.kick();
  return state.volumeInfo(volume);
}

/** Changes of one volume run one after another. */
export function inTurn<T>(volume: Volume, run: () => T | Promise<T>): Promise<T> {
  const mine = volume.turn.then(run);
  volume.turn = mine.catch(() => {});
  return mine;
}

export function mediaOf(state: StoreState, record: VolumeRecord): Medium[] {
  return record.media.map((id) => {
    const medium = state.media.get(id);
    if (medium === undefined) throw new DvsanError("unavailable", `Medium ${id} is not there.`);
    return medium;
  });
}

export function findVolume(state: StoreState, body: Change): Volume {
  const volume = state.volumes.get(body.volumeId);
  if (volume !== undefined && !volume.record.deleting) return volume;
  throw new DvsanError("not-found", `This unit has no volume ${body.volumeId}.`, {
    details: { sequence: 0 },
  });
}

/** Whether the request can be the one that made the record what it is. */
export function isRepeat(record: VolumeRecord, body: Change): boolean {
  return body.expectedSequence === record.sequence || body.expectedSequence === record.sequence - 1;
}

export function requireSequence(state: StoreState, volume: Volume, body: Change): void {
  if (volume.record.sequence !== body.expectedSequence) throw mismatch(state, volume, body);
}

export function mismatch(state: StoreState, volume: Volume | null, body: Change): DvsanError {
  const sequence = volume?.record.sequence ?? 0;
  return new DvsanError(
    "sequence-mismatch",
    `The request expects sequence ${body.expectedSequence} of volume ${body.volumeId}, this unit ` +
      `has ${sequence}. Read the unit's storage information again.`,
    { details: { sequence, volume: volume === null ? null : state.volumeInfo(volume) } },
  );
}

/** All media there and sound, or the error that says which is not. */
export function requireWhole(state: StoreState, volume: Volume): void {
  const trouble = troubleOf(volume, state.media);
  if (trouble === null) return;
  throw new DvsanError(
    trouble.state === "failed" ? "io" : "unavailable",
    `Volume ${volume.record.id} cannot be changed: ${trouble.reason}.`,
    { details: { state: trouble.state } },
  );
}

export function checkSize(sizeBytes: number): void {
  if (sizeBytes > 0 && sizeBytes % SIZE_STEP_BYTES === 0) return;
  throw new DvsanError(
    "invalid",
    `A volume's size must be a multiple of ${SIZE_STEP_BYTES} bytes, not ${sizeBytes}.`,
  );
}

/** `grown`: the volume that it is for, when that is there already. */
export function space(
  state: StoreState,
  { grown, ...wanted }: {
    steps: number;
    extentsMax: number;
    sizeBytes: number;
    grown?: VolumeRecord;
  },
): Piece[] {
  if (wanted.steps <= 0) return [];
  const all = state.spaces();
  const spaces = all.filter(({ mediumId }) => !hasItsNumber(state.media.get(mediumId), grown));
  const pieces = allocate(spaces, wanted);
  if (pieces !== null) return pieces;
  const left = all.filter((one) => !spaces.includes(one)).map(({ mediumId }) => mediumId);
  if (left.length > 0) {
    throw new DvsanError(
      "no-space",
      `No room for volume ${grown?.id} beside media ${left.join(", ")}, where it cannot lie: ` +
        `another volume there has its number ${grown?.number}, given twice since the unit's ` +
        "record of numbers was lost. Add a medium.",
    );
  }
  if (spaces.length === 0) {
    throw new DvsanError("io", "This unit has no medium that can be written to.");
  }
  const largest = largestVolumeBytes(spaces);
  throw new DvsanError(
    "no-space",
    `No room for a volume of ${wanted.sizeBytes} bytes on this unit: a new volume can have at ` +
      `most ${largest} bytes. Add a medium or choose another unit.`,
    { details: { wantedBytes: wanted.sizeBytes, largestVolumeBytes: largest } },
  );
}

/** A number that is given twice is on no label twice; it is told at a start that it may be. */
function hasItsNumber(medium: Medium | undefined, grown: VolumeRecord | undefined): boolean {
  return grown !== undefined && (medium?.nextLabel.volumes ?? [])
    .some(({ id, number }) => number === grown.number && id !== grown.id);
}

/** The record's media and extents with pieces appended, joined where they touch. */
export function extentsWith(
  record: Pick<VolumeRecord, "media" | "extents">,
  pieces: readonly Piece[],
): Pick<VolumeRecord, "media" | "extents"> {
  const media = [...record.media];
  const extents = record.extents.map(([index, start, length]): [number, number, number] => [
    index,
    start,
    length,
  ]);
  for (const { mediumId, start, length } of pieces) {
    if (!media.includes(mediumId)) media.push(mediumId);
    const index = media.indexOf(mediumId);
    const last = extents.at(-1);
    if (last !== undefined && last[0] === index && last[1] + last[2] === start) last[2] += length;
    else extents.push([index, start, length]);
  }
  return { media, extents };
}
