import { decode, encode } from "cborg";
import type { z } from "zod";
import { assert } from "../core/assert.ts";
import { hexOf } from "../core/bytes.ts";
import { sha256 } from "../noise/cipher.ts";
import { PAGE_BYTES } from "./packet.ts";

/** Bodies: CBOR, strict, checked against a schema; cut into pages and named by their hash. */

const STRICT = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
} as const;

/** A body cut for sending. There is always one page at least; an empty body has an empty one. */
export interface PagedBody {
  readonly pages: readonly Uint8Array[];
  /** 16 hex digits: the first 8 bytes of SHA-256 of the whole. */
  readonly revision: string;
  readonly sizeBytes: number;
}

/** The bytes of our own value, which must fit its schema: otherwise it is our bug. */
export function encodeBody(schema: z.ZodType, value: unknown): Uint8Array {
  const checked = schema.safeParse(value);
  assert(checked.success, `a body of ours does not fit its schema: ${checked.error?.message}`);
  return encode(withoutUndefined(checked.data));
}

/** The value, or null when the bytes are not one CBOR item that fits the schema. */
export function decodeBody<S extends z.ZodType>(
  schema: S,
  bytes: Uint8Array,
): z.output<S> | null {
  let value: unknown;
  try {
    value = decode(bytes, STRICT);
  } catch {
    return null; // cborg throws for every malformed input, and for nesting beyond the stack.
  }
  const checked = schema.safeParse(value);
  return checked.success ? checked.data : null;
}

export function revisionOf(body: Uint8Array): string {
  return hexOf(sha256(body).subarray(0, 8));
}

export function pagesOf(body: Uint8Array): PagedBody {
  const pages: Uint8Array[] = [];
  for (let at = 0; at < body.length || pages.length === 0; at += PAGE_BYTES) {
    pages.push(body.subarray(at, at + PAGE_BYTES));
  }
  return { pages, revision: revisionOf(body), sizeBytes: body.length };
}

/** Absent and undefined mean the same to us; CBOR would tell them apart. */
function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  const entries = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(entries.map(([name, part]) => [name, withoutUndefined(part)]));
}
