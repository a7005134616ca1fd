import assert from "node:assert/strict";
import type { MediumInfo, StorageInfo } from "../../protocol/config/bodies.ts";
import { mediaEvents } from "./media_events.ts";

const ID = "aaaaaaaa-0000-4000-8000-000000000001";

function infoWith(...media: Partial<MediumInfo>[]): StorageInfo {
  const whole = media.map((medium) => ({
    id: ID,
    path: "/dev/sdb",
    sizeBytes: 0,
    freeBytes: 0,
    zeroedBytes: 0,
    largestVolumeBytes: 0,
    state: "ok" as const,
    sequence: 1,
    errors: 0,
    ...medium,
  }));
  return { revision: 1, epoch: 1, instance: "i", media: whole, volumes: [] };
}

Deno.test("mediaEvents() tells when a medium changes its state, and nothing else", () => {
  const ok = infoWith({});
  const poisoned = infoWith({ state: "poisoned", reason: "a flush failed", errors: 1 });
  assert.deepEqual(mediaEvents("u1", { before: null, now: ok }), []);
  assert.deepEqual(mediaEvents("u1", { before: ok, now: infoWith({ freeBytes: 9 }) }), []);
  assert.deepEqual(mediaEvents("u1", { before: poisoned, now: poisoned }), []);
  assert.deepEqual(mediaEvents("u1", { before: ok, now: poisoned }), [{
    kind: "medium.poisoned",
    severity: "error",
    subject: "u1",
    text: 'Medium /dev/sdb of "u1" is poisoned: a flush failed.',
  }]);
  const [again] = mediaEvents("u1", { before: poisoned, now: ok });
  assert.deepEqual([again?.kind, again?.severity], ["medium.ok", "info"]);
});

Deno.test("mediaEvents() names a medium without a path by its id, and tells at first sight", () => {
  const now = infoWith({ state: "missing", path: "", reason: "none of the paths holds it" });
  const [missing] = mediaEvents("u1", { before: null, now });
  assert.equal(missing?.text, `Medium ${ID} of "u1" is missing: none of the paths holds it.`);
  const refused = infoWith({ state: "refused", reason: "it holds an ext4 file system" });
  assert.equal(mediaEvents("u1", { before: null, now: refused })[0]?.severity, "warn");
});

Deno.test("mediaEvents() tells of a medium that is older than before, when its unit takes it for right", () => {
  const was = infoWith({ sequence: 9 });
  const [older, ...more] = mediaEvents("u1", { before: was, now: infoWith({ sequence: 8 }) });
  assert.deepEqual([older?.kind, older?.severity, more], ["medium.older", "error", []]);
  assert.match(older!.text, /\/dev\/sdb of "u1" is older than before: .* 8, and had 9\. The whole/);
  assert.deepEqual(mediaEvents("u1", { before: was, now: infoWith({ sequence: 10 }) }), []);
  const stale = infoWith({ sequence: 8, state: "stale", reason: "an old copy" });
  assert.deepEqual(mediaEvents("u1", { before: was, now: stale }).map(({ kind }) => kind), [
    "medium.stale",
  ]);
});
