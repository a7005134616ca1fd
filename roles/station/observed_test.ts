import assert from "node:assert/strict";
import type { VolumeInfo } from "../../protocol/config/bodies.ts";
import { withAnswers } from "./observed.ts";

function volume(id: string, sequence: number): VolumeInfo {
  return {
    id,
    number: 1,
    sizeBytes: 4096,
    startLba: 0,
    endLba: 7,
    media: [],
    sequence,
    state: "ready",
    zeroedBytes: 0,
    allocatedBytes: 0,
    leg: {
      diskId: "d",
      diskName: "d",
      layout: "linear",
      leg: 0,
      legs: 1,
      ownerId: "h",
      ownerName: "h",
      ownerKey: new Uint8Array(32),
    },
    grant: null,
  };
}

Deno.test("withAnswers() keeps what was made, changed or deleted while the list was told", () => {
  const listed = [volume("kept", 3), volume("changed", 1), volume("gone", 2), volume("newer", 5)];
  const answers = new Map([
    ["made", volume("made", 1)],
    ["changed", volume("changed", 2)],
    ["gone", null],
    ["newer", volume("newer", 4)],
  ]);
  const told = withAnswers(listed, answers).map(({ id, sequence }) => `${id} ${sequence}`);
  assert.deepEqual(told.sort(), ["changed 2", "kept 3", "made 1", "newer 5"]);
  assert.deepEqual(withAnswers(listed, new Map()), listed);
});
