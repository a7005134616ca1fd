import { hexOf } from "./bytes.ts";

/** Random bytes, handed in. Only roles/process/ makes the real one. */
export interface Random {
  /** `count` fresh bytes. */
  bytes(count: number): Uint8Array;
}

/** A random (version 4) UUID in its 36-character text form. */
export function randomUuid(random: Random): string {
  const raw = random.bytes(16);
  raw[6] = (raw[6]! & 0x0f) | 0x40;
  raw[8] = (raw[8]! & 0x3f) | 0x80;
  const hex = hexOf(raw);
  return [0, 8, 12, 16, 20].map((at, i, cuts) => hex.slice(at, cuts[i + 1] ?? 32)).join("-");
}

/** A number in [0, 1), for jitter. */
export function randomFraction(random: Random): number {
  const raw = random.bytes(4);
  return new DataView(raw.buffer, raw.byteOffset, 4).getUint32(0) / 2 ** 32;
}
