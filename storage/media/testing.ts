import { GIB, MIB } from "../../protocol/core/limits.ts";
import { silentLog } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { LegInfo } from "../../protocol/config/bodies.ts";
import type { MemoryMedium } from "./testing_memory_medium.ts";
import type { UnitStoreOptions } from "./store_types.ts";
import { UnitStore } from "./unit_store.ts";

/** What the tests of this folder share. */

export const UNIT_ID = "0123456789abcdef0123456789abcdef";
export const HOST_ID = "fedcba9876543210fedcba9876543210";
export const OTHER_HOST_ID = "00000000000000000000000000000abc";
export const HOST_KEY = new Uint8Array(32).fill(7);
export const STATION = { epoch: 1, instance: "first" };
export const LEG: LegInfo = {
  diskId: "11111111-2222-4333-8444-555555555555",
  diskName: "db",
  layout: "linear",
  leg: 0,
  legs: 1,
  ownerId: HOST_ID,
  ownerName: "h1",
  ownerKey: HOST_KEY,
};

export function volumeIdOf(n: number): string {
  return `aaaaaaaa-0000-4000-8000-${n.toString(16).padStart(12, "0")}`;
}

/** Numbers in [0, 1) that a seed replays (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function seededRandom(seed: number): Random {
  const next = seeded(seed);
  return { bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)) };
}

export function storeOptions(
  changes: Partial<UnitStoreOptions> & { seed?: number } = {},
): UnitStoreOptions {
  const { seed, ...rest } = changes;
  return {
    unitId: UNIT_ID,
    clusterId: "c1",
    knownSequences: {},
    random: seededRandom(seed ?? 1),
    log: silentLog(),
    nowMs: () => 0,
    onChange: () => {},
    ...rest,
  };
}

export function openStore(
  media: readonly MemoryMedium[],
  options: Partial<UnitStoreOptions> & { seed?: number } = {},
): Promise<UnitStore> {
  return UnitStore.open(media.map((medium) => medium.source()), storeOptions(options));
}

export function createBody(n: number, sizeBytes: number, station = STATION) {
  return { station, volumeId: volumeIdOf(n), expectedSequence: 0, sizeBytes, leg: LEG };
}

export function grantBody(
  volume: { id: string; sequence: number; sizeBytes: number },
  counter: number,
  hostId = HOST_ID,
) {
  return {
    station: STATION,
    volumeId: volume.id,
    expectedSequence: volume.sequence,
    generation: { epoch: 1, counter },
    hostId,
    hostKey: HOST_KEY,
    sizeBytes: volume.sizeBytes,
  };
}

export const noFence = () => Promise.resolve();
export { GIB, MIB };
