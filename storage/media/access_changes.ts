import { isDeepStrictEqual } from "node:util";
import {
  type AccessGrant,
  type AccessRevoke,
  compareGenerations,
  type Generation,
  type VolumeInfo,
} from "../../protocol/config/bodies.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { GrantRecord, VolumeRecord } from "../../protocol/label/label.ts";
import type { StoreState } from "./store_state.ts";
import type { FenceHook, FenceOrder } from "./store_types.ts";
import type { Volume } from "./volume.ts";
import {
  findVolume,
  inTurn,
  isRepeat,
  requireSequence,
  requireWhole,
  writeRecord,
} from "./volume_changes.ts";

/** Makes a grant current; an older one is fenced first, and both are one writing of the label. */
export async function grantAccess(
  state: StoreState,
  body: AccessGrant,
  fence: FenceHook,
): Promise<VolumeInfo> {
  await state.accept(body.station);
  const volume = findVolume(state, body);
  refuseWhileFencing(state, volume);
  return await inTurn(volume, async () => {
    const { record } = volume;
    if (isGranted(record, body) && isRepeat(record, body)) {
      requireWhole(state, volume);
      return state.volumeInfo(volume);
    }
    refuseOldGeneration(record, body);
    requireSequence(state, volume, body);
    requireWhole(state, volume);
    if (body.sizeBytes > record.sizeBytes) {
      throw new DvsanError(
        "invalid",
        `Volume ${record.id} has ${record.sizeBytes} bytes, the grant says ${body.sizeBytes}.`,
        { details: { sizeBytes: record.sizeBytes } },
      );
    }
    requireZeroed(state, volume);
    const old = record.grant;
    refuseSmaller(record, body);
    const grant: GrantRecord = {
      generation: body.generation,
      hostId: body.hostId,
      hostKey: body.hostKey,
      state: "active",
      sizeBytes: body.sizeBytes,
      ...(body.direct === undefined ? {} : { direct: body.direct }),
    };
    const replaces = old !== null && compareGenerations(old.generation, body.generation) < 0;
    const next: VolumeRecord = {
      ...record,
      sequence: record.sequence + 1,
      grant,
      fencedThrough: replaces ? old.generation : record.fencedThrough,
    };
    if (!replaces || old.state === "fenced") {
      return await writeRecord(state, volume, { next, gaining: new Set() });
    }
    const order = { volumeId: record.id, through: old.generation, reason: "replaced" } as const;
    return await fenced(state, volume, { order, fence, next });
  });
}

/** Fences every generation up to the one named, durably on all the volume's media. */
export async function revokeAccess(
  state: StoreState,
  body: AccessRevoke,
  fence: FenceHook,
): Promise<VolumeInfo> {
  await state.accept(body.station);
  const volume = findVolume(state, body);
  refuseWhileFencing(state, volume);
  return await inTurn(volume, async () => {
    const { record } = volume;
    const { grant, fencedThrough } = record;
    const done = fencedThrough !== null && compareGenerations(fencedThrough, body.generation) >= 0;
    if (done && isRepeat(record, body)) {
      requireWhole(state, volume);
      return state.volumeInfo(volume);
    }
    if (grant !== null && compareGenerations(grant.generation, body.generation) > 0) {
      throw staleGeneration(record, body.generation);
    }
    requireSequence(state, volume, body);
    const next: VolumeRecord = {
      ...record,
      sequence: record.sequence + 1,
      grant: grant === null ? null : { ...grant, state: "fenced" },
      fencedThrough: body.generation,
    };
    const order = { volumeId: record.id, through: body.generation, reason: "revoked" } as const;
    return await fenced(state, volume, { order, fence, next });
  });
}

/** Shuts the old out, then writes the record. A failure leaves the grant in state "fencing". */
async function fenced(
  state: StoreState,
  volume: Volume,
  step: { order: FenceOrder; fence: FenceHook; next: VolumeRecord },
): Promise<VolumeInfo> {
  const sinceMs = volume.fencing?.sinceMs ?? state.options.nowMs();
  volume.fencing = { through: step.order.through, sinceMs, running: true };
  state.bump();
  try {
    await step.fence(step.order);
    // The owner is shut out even where the label cannot say so any more.
    requireWhole(state, volume);
    const change = { next: step.next, gaining: new Set<string>(), essential: true };
    await writeRecord(state, volume, change);
    volume.fencing = null;
    state.bump();
    return state.volumeInfo(volume);
  } finally {
    if (volume.fencing !== null) volume.fencing = { ...volume.fencing, running: false };
  }
}

function refuseWhileFencing(state: StoreState, volume: Volume): void {
  if (volume.fencing?.running !== true) return;
  const forMs = Math.max(0, Math.round(state.options.nowMs() - volume.fencing.sinceMs));
  throw new DvsanError(
    "fencing",
    `Volume ${volume.record.id} is being fenced since ${forMs} ms. Ask again.`,
    { details: { fencingForMs: forMs } },
  );
}

/** Whether the record holds exactly this grant. */
function isGranted(record: VolumeRecord, body: AccessGrant): boolean {
  const { grant } = record;
  return grant !== null && grant.state === "active" && grant.hostId === body.hostId &&
    compareGenerations(grant.generation, body.generation) === 0 &&
    isDeepStrictEqual(grant.hostKey, body.hostKey) && grant.sizeBytes === body.sizeBytes &&
    isDeepStrictEqual(grant.direct, body.direct);
}

function refuseOldGeneration(record: VolumeRecord, body: AccessGrant): void {
  const { grant, fencedThrough } = record;
  const fenced = fencedThrough !== null && compareGenerations(body.generation, fencedThrough) <= 0;
  if (fenced) throw staleGeneration(record, body.generation);
  if (grant === null) return;
  const order = compareGenerations(body.generation, grant.generation);
  // The same generation may only learn a grown size; another host or token needs a newer one.
  const same = grant.hostId === body.hostId && isDeepStrictEqual(grant.hostKey, body.hostKey) &&
    isDeepStrictEqual(grant.direct, body.direct) && body.sizeBytes > grant.sizeBytes;
  if (order < 0 || (order === 0 && !same)) throw staleGeneration(record, body.generation);
}

/**
 * A grant that covered less than the one before it would forget how far a host may have written:
 * what was never granted can be given back (resize_volume.ts).
 */
function refuseSmaller({ id, grant }: VolumeRecord, { sizeBytes }: AccessGrant): void {
  if (grant === null || sizeBytes >= grant.sizeBytes) return;
  throw new DvsanError(
    "invalid",
    `Cannot grant ${sizeBytes} bytes of volume ${id}: ${grant.sizeBytes} of its bytes were ` +
      "granted before, and volumes never get smaller for their hosts. Grant all of them.",
    { details: { sizeBytes: grant.sizeBytes } },
  );
}

function staleGeneration(record: VolumeRecord, asked: Generation): DvsanError {
  const current = record.grant?.generation ?? null;
  const text = (generation: Generation | null) =>
    generation === null ? "none" : `${generation.epoch}.${generation.counter}`;
  return new DvsanError(
    "stale-generation",
    `Generation ${text(asked)} of volume ${record.id} is too old: granted is ${text(current)}, ` +
      `fenced through ${text(record.fencedThrough)}.`,
    { details: { current, fencedThrough: record.fencedThrough } },
  );
}

function requireZeroed(state: StoreState, volume: Volume): void {
  const info = state.volumeInfo(volume);
  const { zeroedBytes, allocatedBytes } = info;
  if (zeroedBytes === allocatedBytes) return;
  throw new DvsanError(
    "not-zeroed",
    `Volume ${info.id} is being zeroed: ${zeroedBytes} of ${allocatedBytes} bytes are done. ` +
      "Ask again when its state is ready.",
    { details: { zeroedBytes, allocatedBytes } },
  );
}
