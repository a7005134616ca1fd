import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { isUnusedEnd } from "./delete_volume.ts";
import { missingInfo } from "./medium_info.ts";
import type { StoreState } from "./store_state.ts";

const NEVER_HERE = "volumes of this unit lie on it in part; the unit has never served it, and " +
  "none of the paths given holds it";

/**
 * Media that an operator has to bring or to give up, beside those that are `reported`: the unit has
 * served them, or they never came with the media that they share volumes with.
 */
export function missingMedia(
  state: StoreState,
  { reported, forgotten }: {
    readonly reported: readonly MediumInfo[];
    readonly forgotten: ReadonlySet<string>;
  },
): MediumInfo[] {
  const isMissing = (id: string) =>
    !state.media.has(id) && !forgotten.has(id) && !reported.some((info) => info.id === id);
  const known = state.options.knownSequences;
  const waiting = [...state.volumes.values()].filter((volume) =>
    volume.broken?.state === "incomplete" && !isUnusedEnd(state, volume)
  );
  const parts = new Set(waiting.flatMap(({ record }) => record.media));
  return [
    ...Object.entries(known).map(([id, sequence]) => missingInfo(id, sequence)),
    ...[...parts].filter((id) => !Object.hasOwn(known, id))
      .map((id) => ({ ...missingInfo(id, 0), reason: NEVER_HERE })),
  ].filter(({ id }) => isMissing(id));
}
