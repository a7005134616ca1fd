import { createHash } from "node:crypto";
import { encode } from "cborg";
import { hexOf } from "../../../protocol/core/bytes.ts";

const SUM_BYTES = 8;

/**
 * A record's checksum, which stands in its column `sum`: SQLite notices pages that make no sense,
 * and not a flipped bit in a number. CBOR with sorted keys, so the order of columns is no matter.
 */
export function sumOf(table: string, row: object): string {
  const hash = createHash("sha256").update(table).update(encode(row)).digest();
  return hexOf(hash.subarray(0, SUM_BYTES));
}

export type Summed<T> = T & { readonly sum?: string | null };

/** The record without its sum, and whether that was right; one that has no sum is of before. */
export function withoutSum<T extends object>(
  table: string,
  found: Summed<T>,
): { readonly row: T; readonly hasSum: boolean; readonly isRight: boolean } {
  const { sum, ...rest } = found;
  const row = rest as unknown as T;
  const hasSum = sum !== null && sum !== undefined;
  return { row, hasSum, isRight: !hasSum || sum === sumOf(table, row) };
}
