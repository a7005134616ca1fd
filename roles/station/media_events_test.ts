import assert from "node:assert/strict";
import type { MediumInfo } from "../../protocol/config/bodies.ts";
import { testingOpenings } from "../../protocol/config/testing_openings.ts";
import { mediaEvents, type Told } from "./media_events.ts";
import { pastsAfter } from "./media_pasts.ts";

const ID = "aaaaaaaa-0000-4000-8000-000000000001";

function infoWith(...media: Partial<MediumInfo>[]): Told {
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
  return {
    info: { revision: 1, epoch: 1, instance: "i", media: whole, volumes: [] },
    pasts: {},
  };
}

/** As the station has it after `before`. */
function after(before: Told, { info }: Told): Told {
  return { info, pasts: pastsAfter(before.pasts, info) };
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

Deno.test("mediaEvents() tells of a medium that is older than before, whatever it was last", () => {
  const none = infoWith();
  const seen = after(none, infoWith({ sequence: 9, openings: testingOpenings("b7 a2") }));
  const older = { sequence: 4, openings: testingOpenings("c4 a2") };
  for (const state of ["ok", "failed", "poisoned", "missing", "refused", "stale"] as const) {
    const before = after(seen, infoWith({ state, sequence: 9 }));
    const now = after(before, infoWith(older));
    const [told, ...more] = mediaEvents("u1", { before, now });
    assert.deepEqual([told?.kind, told?.severity, more], ["medium.older", "error", []], state);
    assert.match(told!.text, /^Medium \/dev\/sdb of "u1" is older than before: .*\(sequence 9\)/);
    assert.deepEqual(mediaEvents("u1", { before: now, now: after(now, now) }), [], "once");
  }
  const failed = after(seen, infoWith({ ...older, state: "failed", reason: "no" }));
  const kinds = mediaEvents("u1", { before: seen, now: failed }).map(({ kind }) => kind);
  assert.deepEqual(kinds, ["medium.older", "medium.failed"]);
  const reopened = mediaEvents("u1", { before: failed, now: after(failed, infoWith(older)) });
  assert.deepEqual(reopened.map(({ kind }) => kind), ["medium.ok"]);
  const right = infoWith({ sequence: 10, openings: testingOpenings("c10 b7 a2") });
  assert.deepEqual(mediaEvents("u1", { before: seen, now: after(seen, right) }), []);
});
