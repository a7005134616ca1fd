import assert from "node:assert/strict";
import { MIB } from "../../../protocol/core/limits.ts";
import { type Copy, copyBStart, encodeCopies } from "../../../protocol/label/codec.ts";
import type { Label } from "../../../protocol/label/label.ts";
import { sampleLabel } from "../../../protocol/label/sample.ts";
import { SimMedium } from "../../../storage/io/sim_medium.ts";
import { changesInWords, labelLossInWords, labelWriteInWords } from "./label_words.ts";

const SIZE_BYTES = 64 * MIB;

/** Writes one copy, or the first half of it, and says what the trace would. */
function write(
  medium: SimMedium,
  { label, copy, isWhole = true }: { label: Label; copy: Copy; isWhole?: boolean },
): string | null {
  const whole = encodeCopies(label)[copy];
  const bytes = isWhole ? whole : whole.subarray(0, whole.length / 2);
  const position = copy === "A" ? 0 : copyBStart(SIZE_BYTES);
  medium.write(bytes, position);
  return labelWriteInWords({ medium, position, length: bytes.length, isWhole });
}

Deno.test("a write to a label is told: all of the first one, then what differs from the other copy", () => {
  const medium = new SimMedium("/unit1/a.img", { sizeBytes: SIZE_BYTES });
  const label = sampleLabel();
  assert.equal(
    write(medium, { label, copy: "A" }),
    "label copy A of /unit1/a.img, sequence 7: station epoch 3 instance first; opened 2 times; " +
      "31 MiB known to be zero; volume aaaaaaaa-0000-4000-8000-000000000001 (leg 0 of h1/db): " +
      "8 MiB, in MiB 1..9, granted to h1 as 3.1, 8 MiB, active, nothing fenced, kept; volume " +
      "aaaaaaaa-0000-4000-8000-000000000002 (leg 0 of h1/db): 16 MiB, in MiB 0a0b0c0d:10..21 " +
      "0a0b0c0d:1..5, granted to nobody, fenced through 3.4, kept; no copy B",
  );
  assert.equal(
    write(medium, { label, copy: "B" }),
    "label copy B of /unit1/a.img, sequence 7: as copy A",
  );
  const [first] = label.volumes;
  const generation = { epoch: 3, counter: 1 };
  const fenced = {
    ...first!,
    grant: { ...first!.grant!, state: "fenced" as const },
    fencedThrough: generation,
  };
  const later = { ...label, sequence: 8, volumes: [fenced] };
  assert.equal(
    write(medium, { label: later, copy: "A" }),
    "label copy A of /unit1/a.img, sequence 8 (copy B: 7): volume " +
      "aaaaaaaa-0000-4000-8000-000000000001 (leg 0 of h1/db): granted to h1 as 3.1, 8 MiB, " +
      "fenced (was granted to h1 as 3.1, 8 MiB, active); fenced through 3.1 (was nothing fenced); " +
      "volume aaaaaaaa-0000-4000-8000-000000000002 (leg 0 of h1/db) is gone",
  );
});

Deno.test("a label that was written in part or lost is told, and writes elsewhere are not", () => {
  const medium = new SimMedium("/unit1/a.img", { sizeBytes: SIZE_BYTES });
  const label = sampleLabel();
  for (const copy of ["A", "B"] as const) write(medium, { label, copy });
  const torn = write(medium, { label: { ...label, sequence: 8 }, copy: "B", isWhole: false });
  assert.match(torn!, /^label copy B of \/unit1\/a.img, written in part: none \(sector \d+/);
  const lost = { medium, isStillRead: false };
  assert.match(
    labelLossInWords({ ...lost, positions: [copyBStart(SIZE_BYTES)] })!,
    /^label of \/unit1\/a.img is now: copy A sequence 7, copy B none \(sector \d+/,
  );
  assert.equal(labelLossInWords({ ...lost, positions: [2 * MIB] }), null);
  const elsewhere = { medium, position: 2 * MIB, length: MIB, isWhole: true };
  assert.equal(labelWriteInWords(elsewhere), null);
});

Deno.test("what changes in a label is told in words, and its sequence alone is not", () => {
  const label = sampleLabel();
  assert.deepEqual(changesInWords(label, { ...label, sequence: 8 }), []);
  const changed = { ...label, epoch: 4, opens: 3, zeroed: [[1, 20]] as [number, number][] };
  assert.deepEqual(changesInWords(label, changed), [
    "station epoch 4 instance first",
    "opened 3 times",
    "20 MiB known to be zero (was 31)",
  ]);
});
