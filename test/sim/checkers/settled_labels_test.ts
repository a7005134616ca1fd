import assert from "node:assert/strict";
import { SECTOR_BYTES } from "../../../protocol/label/codec.ts";
import { MIB } from "../../../protocol/core/limits.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import { LabelledMedium } from "./testing_labelled.ts";
import { settledLabelsOf } from "../agreement/labels.ts";

const UNIT = { name: "unit1", devices: ["/unit1/a.img", "/unit1/b.img"] };

Deno.test("a unit's labels are told, but for devices that have none", () => {
  const { medium } = new LabelledMedium({ volumeId: crypto.randomUUID(), grantedBytes: MIB });
  const blank = new SimMedium("/unit1/a.img", { sizeBytes: 16 * MIB });
  const media = new Map([["/unit1/a.img", blank], ["/unit1/b.img", medium]]);
  const found = settledLabelsOf(UNIT, media);
  assert.deepEqual(found?.map(({ path, label }) => [path, label.volumes.length]), [
    ["/unit1/b.img", 1],
  ]);
});

Deno.test("nobody can say what a unit's media hold while a label of one is being written", () => {
  const { medium } = new LabelledMedium({ volumeId: crypto.randomUUID(), grantedBytes: MIB });
  const media = new Map([["/unit1/b.img", medium]]);
  medium.write(new Uint8Array(SECTOR_BYTES).fill(7), 0);
  assert.equal(settledLabelsOf(UNIT, media), null);
});
