import assert from "node:assert/strict";
import { SIZE_STEP_BYTES } from "../../../protocol/core/limits.ts";
import { formatSize, parseDuration, parseSize } from "../../../roles/process/sizes.ts";
import type { Chance } from "../chance.ts";
import type { FuzzTarget } from "../target.ts";

const PIECES = ["0", "1", "80", "9007199254740993", ".", ",", "-", "+", "e", " ", "\u0660", "\0"];
const UNITS = ["B", "k", "KB", "KiB", "MiB", "G", "GB", "TiB", "P", "ms", "s", "min", "h", "d"];

/** Sizes and times as users type them. */
export const SIZES: FuzzTarget = {
  name: "sizes",
  cases: 2000,
  run(chance) {
    const text = textOf(chance);
    const size = parseSize(text);
    if (typeof size !== "string") {
      assert.ok(Number.isSafeInteger(size.bytes) && size.bytes > 0, text);
      assert.equal(size.bytes % SIZE_STEP_BYTES, 0, text);
      assert.notEqual(formatSize(size.bytes), "");
    }
    const time = parseDuration(text);
    if (typeof time !== "string") assert.ok(Number.isInteger(time) && time >= 0, text);
  },
};

function textOf(chance: Chance): string {
  let text = "";
  for (let count = chance.between(0, 6); count > 0; count--) {
    text += chance.pick(chance.oneIn(2) ? PIECES : UNITS);
  }
  return text;
}
