import { messageOf } from "../../protocol/core/errors.ts";
import {
  MEDIUM_LEFT_MS_MAX,
  MEDIUM_OPEN_MS_MAX,
  MEDIUM_SETTLE_MS_MAX,
} from "../../protocol/core/limits.ts";
import { ioMediumSource } from "../media/io_medium_file.ts";
import type { Bound } from "../media/store_types.ts";
import { UnitStore } from "../media/unit_store.ts";
import type { UnitStart } from "./messages.ts";
import { limited } from "./time_limit.ts";
import type { UnitServiceOptions } from "./unit_service_options.ts";

/**
 * Opens a unit's media through the seam, at its start or anew. Media that cannot be taken are
 * logged; rejects with the first one's error when none could be.
 */
export async function openUnitStore(
  start: UnitStart,
  options: UnitServiceOptions,
): Promise<UnitStore> {
  const { heldPaths, reopened } = options;
  const busyMsOf = (path: string) => {
    if (heldPaths === undefined) return MEDIUM_LEFT_MS_MAX;
    return heldPaths.has(path) ? MEDIUM_SETTLE_MS_MAX : 0;
  };
  const sources = start.media.map((medium) => {
    const busyMs = busyMsOf(medium.path);
    const dropsCache = medium.path === reopened?.path;
    // A path may have another device since the start, for which --wipe was given.
    const wipe = heldPaths !== undefined && medium.wipe === "yes" ? "later" : medium.wipe;
    return ioMediumSource(options, { ...medium, wipe, busyMs, dropsCache });
  });
  const limitMs = options.mediumTimeoutMs ?? MEDIUM_OPEN_MS_MAX;
  const bound: Bound = (done) => limited(options, { done, limitMs });
  const store = await UnitStore.open(sources, {
    unitId: start.identity.id,
    unitName: start.identity.name,
    clusterId: start.clusterId,
    knownSequences: start.knownSequences,
    forgotten: start.forgottenMedia ?? [],
    poisoned: start.poisonedMedia ?? {},
    knownDevices: start.knownDevices ?? {},
    continuities: start.continuities ?? {},
    ...(start.numbersFrom !== undefined && {
      numbersFrom: start.numbersFrom,
      keepNumbers: options.keepNumbers,
    }),
    wipeMedia: start.wipeMedia ?? [],
    ...(options.adopting && { adopting: options.adopting }),
    ...(options.follows && { follows: options.follows }),
    ...(reopened && { reopened: reopened.mediumId }),
    reading: bound,
    // At a start, a sync has to write first what the process before has left in memory.
    ...(heldPaths && { writing: bound }),
    besides: (done) => limited(options, { done, limitMs: MEDIUM_SETTLE_MS_MAX }),
    random: options.random,
    log: options.log,
    nowMs: () => options.io.nowMs(),
    onChange: options.onChange,
  });
  for (const { path, error } of store.refused) {
    options.log.error("medium not taken", { path, reason: messageOf(error) });
  }
  for (const { path, id, state, reason } of store.storageInfo().media) {
    if (state === "ok" || state === "refused") continue;
    options.log.warn("medium not served", { path, medium: id, state, reason: reason ?? "" });
  }
  const [first] = store.refused;
  const all = first !== undefined && store.refused.length === start.media.length;
  if (all && heldPaths === undefined) {
    await store.close();
    throw first.error;
  }
  return store;
}
