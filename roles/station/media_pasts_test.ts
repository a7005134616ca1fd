import assert from "node:assert/strict";
import type { MediumInfo, StorageInfo } from "../../protocol/config/bodies.ts";
import { type Opening, withOpening } from "../../protocol/config/openings.ts";
import { MEDIA_PASTS_PER_UNIT_MAX, OPENINGS_KEPT_MAX } from "../../protocol/core/limits.ts";
import { testingOpenings } from "../../protocol/config/testing_openings.ts";
import { type MediaPasts, olderThan, pastsAfter } from "./media_pasts.ts";

const ID = "aaaaaaaa-0000-4000-8000-000000000001";

/** What a unit tells of one medium that it has open. */
function told(sequence: number, openings: Opening[], id = ID): StorageInfo {
  const medium = { id, state: "ok", sequence, openings } as unknown as MediumInfo;
  return { revision: 1, epoch: 1, instance: "i", media: [medium], volumes: [] };
}

function isOlder(pasts: MediaPasts, { media: [medium] }: StorageInfo): boolean {
  return olderThan(pasts, medium!) !== null;
}

/** The medium after so many more openings, each with a change of its label. */
function opened(count: number, from: { sequence: number; openings: Opening[] }) {
  let { sequence, openings } = from;
  for (let i = 0; i < count; i++) {
    const id = crypto.getRandomValues(new Uint8Array(8));
    openings = withOpening(openings, [id, sequence + 1]);
    sequence += 2;
  }
  return { sequence, openings };
}

Deno.test("pastsAfter() takes no medium for older, however often it is opened and who is behind", () => {
  const first = { sequence: 3, openings: testingOpenings("a2") };
  for (const unheard of [0, 1, OPENINGS_KEPT_MAX - 1, OPENINGS_KEPT_MAX, 5 * OPENINGS_KEPT_MAX]) {
    let pasts = pastsAfter({}, told(first.sequence, first.openings));
    let now = first;
    for (let round = 0; round < 3; round++) {
      now = opened(unheard, now);
      const info = told(now.sequence, now.openings);
      pasts = pastsAfter(pasts, info);
      assert.equal(isOlder(pasts, info), false, `${unheard} restarts between two contacts`);
      // A station whose catalog was put back knows what was before, of any time.
      const behind = pastsAfter(pastsAfter({}, told(first.sequence, first.openings)), info);
      assert.equal(isOlder(behind, info), false, "restored");
    }
  }
});

Deno.test("pastsAfter() knows one that was put back until the right one, or one in its place, is there", () => {
  const copy = opened(2, { sequence: 3, openings: testingOpenings("a2") });
  const seen = opened(1, copy);
  let pasts = pastsAfter({}, told(seen.sequence, seen.openings));
  let older = opened(1, copy);
  for (let i = 0; i < 2 * OPENINGS_KEPT_MAX; i++) {
    const info = told(older.sequence, older.openings);
    pasts = pastsAfter(pasts, info);
    assert.equal(isOlder(pasts, info), true, `after ${i} more openings`);
    older = opened(1, older);
  }
  // One that is not open tells nothing.
  const away = told(older.sequence, older.openings);
  Reflect.deleteProperty(away.media[0]!, "openings");
  pasts = pastsAfter(pasts, away);
  assert.equal(isOlder(pasts, away), false);
  for (const right of [opened(1, seen), opened(1, { ...seen, sequence: 900 })]) {
    const info = told(right.sequence, right.openings);
    const after = pastsAfter(pasts, info);
    assert.equal(isOlder(after, info), false);
    assert.deepEqual(after[ID], right);
  }
});

Deno.test("pastsAfter() remembers a bounded number of media, those that were seen last", () => {
  const idOf = (i: number) => `aaaaaaaa-0000-4000-8000-${String(i).padStart(12, "0")}`;
  let pasts: MediaPasts = {};
  for (let i = 0; i <= MEDIA_PASTS_PER_UNIT_MAX; i++) {
    pasts = pastsAfter(pasts, told(3, testingOpenings("a2"), idOf(i)));
    pasts = pastsAfter(pasts, told(3, testingOpenings("a2"), idOf(0)));
  }
  assert.equal(Object.keys(pasts).length, MEDIA_PASTS_PER_UNIT_MAX);
  assert.ok(idOf(0) in pasts && !(idOf(1) in pasts));
});
