import assert from "node:assert/strict";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import type { TombstoneRow } from "./catalog/rows.ts";
import { planVolume } from "./plan.ts";
import { oldTombstones } from "./tombstones.ts";

function tombstone(n: number, done: number): [string, TombstoneRow] {
  const volumeId = `aaaaaaaa-0000-4000-8000-${String(n).padStart(12, "0")}`;
  return [volumeId, { volumeId, createdMs: n, done } as TombstoneRow];
}

function removed(rows: readonly [string, TombstoneRow][], keptMax: number): number[] {
  return oldTombstones(new Map(rows), keptMax).map((change) => {
    assert.ok("remove" in change && change.table === "tombstones");
    return Number(String(change.remove).slice(-12));
  });
}

Deno.test("the oldest tombstones beyond the bound go, and none that is not done", () => {
  const rows = [5, 3, 1, 4, 2].map((n) => tombstone(n, n === 1 ? 0 : 1));
  assert.deepEqual(removed(rows, 5), []);
  assert.deepEqual(removed(rows, 3), [2]);
  assert.deepEqual(removed(rows, 1), [2, 3, 4]);
  assert.deepEqual(removed(rows, 0), [2, 3, 4, 5]);
  assert.deepEqual(removed([1, 2, 3].map((n) => tombstone(n, 0)), 1), []);
});

Deno.test("a volume whose tombstone was forgotten is adopted when it comes back", () => {
  const held = { id: "v", number: 1, grant: null, state: "ready" } as unknown as VolumeInfo;
  const { step, destroys } = planVolume({
    unitId: "u",
    volume: null,
    grant: null,
    tombstone: null,
    held,
    heldAtHome: null,
    mayChangeLength: false,
    isRebuilt: false,
    isInUse: true,
    destroysNothing: false,
  });
  assert.deepEqual([step?.kind, destroys], ["adopt", false]);
});
