import assert from "node:assert/strict";
import fc from "fast-check";
import { UNSYNCED_CHUNK_BYTES } from "../../protocol/core/limits.ts";
import { UnsyncedChunks } from "./unsynced_chunks.ts";

const CHUNKS = 100;
const SIZE_BYTES = CHUNKS * UNSYNCED_CHUNK_BYTES - 512;

Deno.test("UnsyncedChunks keeps what a sync that succeeded does not cover", () => {
  const range = fc.record({
    kind: fc.constantFrom("change" as const),
    position: fc.nat(SIZE_BYTES - 1),
    length: fc.oneof(fc.nat(4096), fc.nat(3 * UNSYNCED_CHUNK_BYTES)),
  });
  const step = fc.oneof(
    range,
    fc.constant({ kind: "began" as const }),
    fc.constant({
      kind: "succeeded" as const,
    }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const chunks = new UnsyncedChunks(SIZE_BYTES);
      let since = new Set<number>();
      let covered: Set<number> | null = null;
      for (const one of steps) {
        if (one.kind === "began") {
          if (covered !== null) continue;
          chunks.syncBegan();
          covered = since;
          since = new Set();
        } else if (one.kind === "succeeded") {
          if (covered === null) continue;
          chunks.syncSucceeded();
          covered = null;
        } else {
          const length = Math.min(one.length, SIZE_BYTES - one.position);
          chunks.changed(one.position, length);
          const last = Math.ceil((one.position + length) / UNSYNCED_CHUNK_BYTES) - 1;
          let chunk = Math.floor(one.position / UNSYNCED_CHUNK_BYTES);
          for (; length > 0 && chunk <= last; chunk++) since.add(chunk);
        }
        for (let chunk = 0; chunk < CHUNKS; chunk++) {
          const is = since.has(chunk) || covered?.has(chunk) === true;
          assert.equal(chunks.touches(chunk * UNSYNCED_CHUNK_BYTES, 512), is);
        }
      }
    }),
    { seed: 51, numRuns: 300 },
  );
});

Deno.test("UnsyncedChunks looks at every chunk that a range touches", () => {
  const chunks = new UnsyncedChunks(SIZE_BYTES);
  chunks.changed(40 * UNSYNCED_CHUNK_BYTES + 5, 1);
  const edge = 40 * UNSYNCED_CHUNK_BYTES;
  assert.equal(chunks.touches(edge - 512, 512), false);
  assert.equal(chunks.touches(edge - 512, 513), true);
  assert.equal(chunks.touches(0, SIZE_BYTES), true);
  assert.equal(chunks.touches(edge + UNSYNCED_CHUNK_BYTES, 512), false);
});
