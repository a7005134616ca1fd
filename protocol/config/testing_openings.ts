import { OPENING_ID_BYTES } from "../core/limits.ts";
import type { Opening } from "./openings.ts";

/** "b7 a2": opening "b", whose label had sequence 7, and before it "a" with 2. */
export function testingOpenings(text: string): Opening[] {
  return text.split(" ").map((one) => {
    const id = new Uint8Array(OPENING_ID_BYTES);
    id.set([one.charCodeAt(0)]);
    return [id, Number(one.slice(1))];
  });
}
