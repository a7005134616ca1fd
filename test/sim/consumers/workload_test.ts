import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { encodeCopies } from "../../../protocol/label/codec.ts";
import { sampleLabel } from "../../../protocol/label/sample.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import { Simulation } from "../core/simulation.ts";
import { BLOCK_BYTES } from "../types.ts";
import { bordersOf } from "./borders.ts";
import { Workload } from "./workload.ts";

const DISK = "11111111-2222-4333-8444-555555555555";
const BLOCKS_PER_MIB = MIB / BLOCK_BYTES;

function workload(): Workload {
  const sim = new Simulation({ seed: 1, keepTrace: false });
  const options = { depth: 1, burstMax: 1, pauseMsMax: 1, longShare: 0, flushesSeldom: false };
  return new Workload(sim, { ...options, nextId: () => 1 });
}

/** The first blocks of its places, after it was opened with these sizes in MiB. */
function placesOf(
  sizes: readonly number[],
  borders: readonly number[] = [],
): number[] {
  const used = workload();
  for (const size of sizes) {
    used.opened({ diskId: DISK, sizeBytes: size * MIB, borders: () => borders });
  }
  return [...used.places].sort((a, b) => a - b);
}

Deno.test("a workload uses a disk's ends and its middle, across a MiB where there is one", () => {
  assert.deepEqual(placesOf([1]), [0, BLOCKS_PER_MIB / 2 - 6, BLOCKS_PER_MIB - 12]);
  assert.deepEqual(placesOf([5]), [0, 2 * BLOCKS_PER_MIB - 6, 5 * BLOCKS_PER_MIB - 12]);
});

Deno.test("a workload uses what was a disk's end, and where its legs and extents meet", () => {
  assert.deepEqual(placesOf([2, 8]), [
    0,
    BLOCKS_PER_MIB - 6,
    2 * BLOCKS_PER_MIB - 12,
    2 * BLOCKS_PER_MIB - 6,
    4 * BLOCKS_PER_MIB - 6,
    8 * BLOCKS_PER_MIB - 12,
  ]);
  const middle = 4 * BLOCKS_PER_MIB - 6;
  const both = [3, 6].map((mib) => mib * BLOCKS_PER_MIB - 6);
  const ends = [0, 8 * BLOCKS_PER_MIB - 12];
  const sorted = [...ends, middle, ...both].sort((a, b) => a - b);
  assert.deepEqual(placesOf([8], [3 * MIB, 6 * MIB]), sorted);
});

Deno.test("bordersOf() tells where legs begin, and extents within them, after their headers", () => {
  const medium = new SimMedium("/unit1/a.img", { sizeBytes: 64 * MIB });
  medium.write(encodeCopies(sampleLabel()).A, 0);
  const [first, second] = sampleLabel().volumes;
  const legs = [
    { leg: 1, volumeId: second!.id, sizeBytes: 16 * MIB },
    { leg: 0, volumeId: first!.id, sizeBytes: 8 * MIB },
  ];
  // The second one's first extent is of 12 MiB, one of them its header.
  assert.deepEqual(bordersOf(legs, [medium]), [8 * MIB, 19 * MIB]);
  assert.deepEqual(bordersOf(legs, []), [8 * MIB], "no label can be read");
});
