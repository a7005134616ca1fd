import assert from "node:assert/strict";
import { MediaContinuity } from "./media_continuity.ts";
import { seededRandom } from "./testing.ts";

Deno.test("a medium keeps its token until it may have lost something, and never gets an old one", () => {
  const random = seededRandom(1);
  const media = new MediaContinuity({}, random);
  const first = media.of("m1");
  assert.notEqual(media.of("m2"), first);
  const next = new MediaContinuity(media.record(), random);
  assert.equal(next.of("m1"), first, "a process that ends takes nothing with it");
  const broken = next.broken("m1");
  assert.notEqual(broken, first);
  assert.equal(next.of("m1"), broken);
  assert.deepEqual(next.record(), { m1: broken, m2: media.of("m2") });
  const unknown = new MediaContinuity({}, random).of("m1");
  assert.ok(![first, broken].includes(unknown), "whoever knew one of before sees that it is gone");
});
