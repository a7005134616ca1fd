import assert from "node:assert/strict";
import fc from "fast-check";
import { ReusedViews } from "./reused_views.ts";

Deno.test("ReusedViews answers what subarray answers, and the same view again", () => {
  const views = new ReusedViews();
  const whole = new Uint8Array(3 * 1024 * 1024);
  // Arrays over the same and over another buffer, which share places in the cache.
  const sources = [whole, whole.subarray(4096), new Uint8Array(2 * 1024 * 1024)];
  const asked = fc.record({
    source: fc.constantFrom(...sources),
    off: fc.oneof(fc.nat(20), fc.nat(255).map((n) => n * 4096)),
    length: fc.oneof(fc.nat(5000), fc.constantFrom(512, 4096, 65_536)),
  });
  fc.assert(fc.property(asked, ({ source, off, length }) => {
    const view = views.of(source, off, length);
    const expected = source.subarray(off, off + length);
    assert.equal(view.buffer, expected.buffer);
    assert.equal(view.byteOffset, expected.byteOffset);
    assert.equal(view.length, expected.length);
    assert.equal(views.of(source, off, length), view);
  }));
});
