import { assert } from "../../protocol/core/assert.ts";

/** A range that a caller must have checked lies inside the device. */
export function assertRange(
  size: { readonly sizeBytes: number },
  at: { readonly position: number; readonly length: number },
): void {
  assert(
    at.position >= 0 && at.length >= 0 && at.position + at.length <= size.sizeBytes,
    "a range is checked before it reaches a device",
  );
}
