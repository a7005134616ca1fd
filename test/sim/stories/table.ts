import type { Story } from "./story.ts";
import {
  behindWithTombstones,
  generationGivenTwice,
  hostsAreAhead,
  olderBackup,
  restoredBeforeGrowth,
  revokedThenRestored,
  toldAnOlderMap,
} from "./backups.ts";
import { catalogLost, catalogLostLater } from "./catalog.ts";
import {
  consumersGo,
  halfPayloads,
  heldWrite,
  heldZeroes,
  hostEndsInReplay,
  lateAttach,
} from "./connections.ts";
import {
  fencedWhilePoisoned,
  hostIsFenced,
  killedInFence,
  longZeroesAreFenced,
  zeroesAreFenced,
} from "./fences.ts";
import { longDisk, reopened, reopenedUnrepeated, slowSyncs, writesMeet } from "./flushes.ts";
import { growsSlowly, lateBytes, releasedUnheard, slowLabels } from "./grants.ts";
import { mediumAway, rolledBackToBeforeStart, syncsFail } from "./media.ts";
import { attackerCopies } from "./network.ts";
import { spaceGivenAgain } from "./space.ts";

/** What `--story` knows. */
export const STORY_NAMES = [
  "attacker-copies",
  "behind-with-tombstones",
  "catalog-lost",
  "catalog-lost-later",
  "consumers-go",
  "fenced-while-poisoned",
  "generation-given-twice",
  "half-payloads",
  "held-write",
  "held-zeroes",
  "host-ends-in-replay",
  "host-is-fenced",
  "hosts-are-ahead",
  "killed-in-fence",
  "late-attach",
  "medium-away",
  "older-backup",
  "restored-before-growth",
  "revoked-then-restored",
  "rolled-back-to-before-start",
  "space-given-again",
  "grows-slowly",
  "late-bytes",
  "long-disk",
  "long-zeroes-are-fenced",
  "released-unheard",
  "reopened",
  "reopened-in-memory",
  "reopened-unrepeated",
  "slow-labels",
  "slow-syncs",
  "syncs-fail",
  "told-an-older-map",
  "writes-meet",
  "zeroes-are-fenced",
] as const;
export type StoryName = typeof STORY_NAMES[number];

export const STORIES: Readonly<Record<StoryName, Story>> = {
  "attacker-copies": { plan: { hosts: 2, units: 2 }, play: attackerCopies },
  "behind-with-tombstones": { play: behindWithTombstones },
  "catalog-lost": { play: catalogLost },
  "catalog-lost-later": { play: catalogLostLater },
  "consumers-go": { plan: { hosts: 1, depth: 40, pauseMsMax: 1 }, play: consumersGo },
  "fenced-while-poisoned": { plan: { hosts: 2 }, play: fencedWhilePoisoned },
  "generation-given-twice": { play: generationGivenTwice },
  "half-payloads": { play: halfPayloads },
  "held-write": { plan: { pauseMsMax: 200 }, play: heldWrite },
  "held-zeroes": { plan: { pauseMsMax: 200, longShare: 0.3 }, play: heldZeroes },
  "host-ends-in-replay": { play: hostEndsInReplay },
  "host-is-fenced": { plan: { hosts: 2 }, play: hostIsFenced },
  "hosts-are-ahead": { play: hostsAreAhead },
  "killed-in-fence": { plan: { hosts: 2, inMemoryShare: 0 }, play: killedInFence },
  "late-attach": { plan: { hosts: 1, pauseMsMax: 4000 }, play: lateAttach },
  "medium-away": { plan: { mediaPerUnit: 2, mediumBytes: 32 * 2 ** 20 }, play: mediumAway },
  "older-backup": { play: olderBackup },
  "restored-before-growth": { play: restoredBeforeGrowth },
  "revoked-then-restored": { plan: { hosts: 2 }, play: revokedThenRestored },
  "rolled-back-to-before-start": { play: rolledBackToBeforeStart },
  "space-given-again": { plan: { hosts: 1, mediumBytes: 32 * 2 ** 20 }, play: spaceGivenAgain },
  "grows-slowly": { play: growsSlowly },
  "late-bytes": { play: lateBytes },
  "long-disk": { plan: { units: 2, hosts: 1, mediumBytes: 32 * 2 ** 20 }, play: longDisk },
  "long-zeroes-are-fenced": { plan: { hosts: 2, longShare: 0.5 }, play: longZeroesAreFenced },
  "released-unheard": { play: releasedUnheard },
  "reopened": { play: reopened },
  "reopened-in-memory": { plan: { inMemoryShare: 1 }, play: reopened },
  "reopened-unrepeated": { play: reopenedUnrepeated },
  "slow-labels": { plan: { pauseMsMax: 2000 }, play: slowLabels },
  "slow-syncs": { play: slowSyncs },
  "syncs-fail": { play: syncsFail },
  "told-an-older-map": { play: toldAnOlderMap },
  "writes-meet": { play: writesMeet },
  "zeroes-are-fenced": { plan: { hosts: 2 }, play: zeroesAreFenced },
};
