import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { GrantedSpace } from "./granted_space.ts";
import { copiesSeen } from "./label_copies.ts";
import { FIRST_BYTE, LabelledMedium } from "./testing_labelled.ts";

const VOLUME = "0f1e2d3c-4b5a-4987-8123-a4b5c6d7e8f9";

function within(
  { medium }: LabelledMedium,
  position: number,
  length: number,
  space = new GrantedSpace(),
) {
  return space.within(medium, position, length).map(({ volume, ...piece }) => {
    assert.equal(volume.id, VOLUME);
    return [piece.position, piece.length];
  });
}

Deno.test("GrantedSpace is what a label's volumes have behind their headers, as far as it was granted", () => {
  const medium = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 6 * MIB });
  assert.deepEqual(within(medium, 0, 64 * MIB), [[0, 6 * MIB]]);
  assert.deepEqual(within(medium, FIRST_BYTE - 4096, 8192), [[0, 4096]]);
  assert.deepEqual(within(medium, FIRST_BYTE + MIB, 512), [[MIB, 512]]);
  assert.deepEqual(within(medium, FIRST_BYTE + 6 * MIB, MIB), []);
  assert.deepEqual(within(medium, 0, FIRST_BYTE), []);
});

Deno.test("GrantedSpace follows a volume's extents, and leaves out those on other media", () => {
  const medium = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB });
  const media = ["0a0b0c0d-0e0f-4011-8213-141516171819", "0a0b0c0d-0e0f-4011-8213-14151617181a"];
  medium.label({ media, extents: [[0, 20, 3], [1, 20, 2], [0, 5, 4]] });
  assert.deepEqual(within(medium, 0, 64 * MIB), [[0, 2 * MIB], [4 * MIB, 4 * MIB]]);
  assert.deepEqual(within(medium, 6 * MIB, MIB), [[5 * MIB, MIB]]);
});

Deno.test("GrantedSpace goes by the label of now, and by none that is not whole", () => {
  const medium = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 8 * MIB });
  const space = new GrantedSpace();
  const found = () => within(medium, FIRST_BYTE, 4096, space).length;
  assert.equal(found(), 1);
  medium.label({ grant: null });
  assert.equal(found(), 0);
  medium.label();
  assert.equal(found(), 1);
  medium.label({ deleting: true });
  assert.equal(found(), 0);
  medium.label();
  medium.medium.zero(0, 512);
  assert.equal(found(), 0);
});

Deno.test("GrantedSpace has nothing of a medium that a unit is told to wipe, and all of others", () => {
  const medium = new LabelledMedium({ volumeId: VOLUME, grantedBytes: 6 * MIB });
  const space = new GrantedSpace();
  const [copy] = copiesSeen(medium.medium);
  space.givenUp("0a0b0c0d-0e0f-4011-8213-14151617181a");
  assert.deepEqual(within(medium, 0, 64 * MIB, space), [[0, 6 * MIB]]);
  space.givenUp(copy!.label.mediumId);
  assert.deepEqual(within(medium, 0, 64 * MIB, space), []);
});
