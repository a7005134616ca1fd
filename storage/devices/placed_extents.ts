import { AssertionError } from "../../protocol/core/assert.ts";
import type { Handle } from "../io/io.ts";
import type { MediumState } from "./medium_state.ts";

/** A run of an open medium. The same medium must have the same `state` everywhere. */
export interface MediumExtent {
  readonly handle: Handle;
  readonly state: MediumState;
  /** First byte on the medium. */
  readonly start: number;
  readonly length: number;
}

export interface PlacedExtent extends MediumExtent {
  /** Where it begins in the device's address space. */
  readonly begin: number;
}

/** The extent that `position` lies in; there is one by the check of the range. */
export function indexAt(extents: readonly PlacedExtent[], position: number): number {
  let low = 0;
  let high = extents.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (extents[middle]!.begin <= position) low = middle;
    else high = middle - 1;
  }
  if (low > high) throw new AssertionError("a device without extents has no positions");
  return low;
}
