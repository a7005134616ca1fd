import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { DiskPlaces } from "./disk_places.ts";
import { BLOCK_BYTES } from "../types.ts";
import { writeStamp } from "./stamp.ts";
import { FIRST_BYTE, LabelledMedium } from "./testing_labelled.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";
const DISK = "11111111-2222-4333-8444-555555555555";

function told(places: DiskPlaces, legs: readonly { leg: number; volumeId: string }[]): void {
  const assignment = { diskId: DISK, legs: legs.map((leg) => ({ ...leg, sizeBytes: 4 * MIB })) };
  places.workerAnswered({ call: "diskAttach", params: { assignment } });
}

Deno.test("DiskPlaces finds a disk's blocks on a medium, by the leg that lies there", () => {
  const { medium } = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB });
  const places = new DiskPlaces();
  const positions = [FIRST_BYTE, FIRST_BYTE + 2 * 4096];
  told(places, [{ leg: 0, volumeId: VOLUME }]);
  assert.deepEqual(places.blocksOf({ medium, positions }), [
    { diskId: DISK, block: 0 },
    { diskId: DISK, block: 2 },
  ]);
  told(places, [{ leg: 1, volumeId: VOLUME }, { leg: 0, volumeId: "another" }]);
  assert.deepEqual(places.blocksOf({ medium, positions: [FIRST_BYTE] }), [
    { diskId: DISK, block: 4 * MIB / 4096 },
  ]);
});

Deno.test("DiskPlaces tells what a loss has left in a block, beneath what a cache still shows", () => {
  const bench = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB, isVolatile: true });
  const { medium } = bench;
  const places = new DiskPlaces();
  told(places, [{ leg: 0, volumeId: VOLUME }]);
  const stamp = (block: number, version: number) => {
    const bytes = new Uint8Array(BLOCK_BYTES);
    writeStamp(bytes, { diskId: DISK, block, version });
    return bytes;
  };
  const positions = [0, 1, 2, 3].map((block) => FIRST_BYTE + block * BLOCK_BYTES);
  medium.write(stamp(0, 6), positions[0]!);
  medium.sync(medium.changes, () => 0);
  medium.write(stamp(0, 7), positions[0]!);
  medium.write(stamp(1, 7), positions[1]!);
  medium.write(stamp(1, 8).subarray(512, 1024), positions[1]! + 512);
  medium.write(stamp(9, 7), positions[2]!);
  const left = (isStillRead: boolean) =>
    places.lostBy({ medium, positions, isStillRead }).map(({ block, left }) => [
      block,
      left && [...left],
    ]);
  assert.deepEqual(left(false), [[0, [7]], [1, [7, 8]], [2, null], [3, [0]]]);
  medium.failWriteback(() => 0.9);
  assert.deepEqual(left(true), [[0, [6]], [1, [0]], [2, [0]], [3, [0]]]);
  medium.dropCache();
  assert.deepEqual(left(false), left(true));
});

Deno.test("DiskPlaces finds nothing in headers, labels and free space", () => {
  const { medium } = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB });
  const places = new DiskPlaces();
  told(places, [{ leg: 0, volumeId: VOLUME }]);
  const positions = [0, FIRST_BYTE - 4096, FIRST_BYTE + 8 * MIB, 63 * MIB];
  assert.deepEqual(places.blocksOf({ medium, positions }), []);
});

Deno.test("DiskPlaces goes by a label's other copy, and by what was there last", () => {
  const { medium } = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB });
  const places = new DiskPlaces();
  told(places, [{ leg: 0, volumeId: VOLUME }]);
  for (const position of [0, 63 * MIB]) {
    medium.zero(position, MIB);
    assert.equal(places.blocksOf({ medium, positions: [FIRST_BYTE] }).length, 1);
  }
  assert.deepEqual(new DiskPlaces().blocksOf({ medium, positions: [FIRST_BYTE] }), []);
});
