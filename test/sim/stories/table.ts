import type { Story } from "./story.ts";
import { catalogLost, catalogLostLater } from "./catalog.ts";
import { heldWrite, hostEndsInReplay } from "./connections.ts";
import { hostIsFenced } from "./fences.ts";
import { syncsFail } from "./media.ts";
import { spaceGivenAgain } from "./space.ts";

/** What `--story` knows. */
export const STORY_NAMES = [
  "catalog-lost",
  "catalog-lost-later",
  "held-write",
  "host-ends-in-replay",
  "host-is-fenced",
  "space-given-again",
  "syncs-fail",
] as const;
export type StoryName = typeof STORY_NAMES[number];

export const STORIES: Readonly<Record<StoryName, Story>> = {
  "catalog-lost": { play: catalogLost },
  "catalog-lost-later": { play: catalogLostLater },
  "held-write": { play: heldWrite },
  "host-ends-in-replay": { play: hostEndsInReplay },
  "host-is-fenced": { plan: { hosts: 2 }, play: hostIsFenced },
  "space-given-again": { plan: { hosts: 1, mediumBytes: 32 * 2 ** 20 }, play: spaceGivenAgain },
  "syncs-fail": { play: syncsFail },
};
