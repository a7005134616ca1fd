import { concat, utf8, viewOf } from "../core/bytes.ts";
import { decodeName } from "./option_data.ts";

/** LIST_META_CONTEXT and SET_META_CONTEXT ("Metadata querying" in the protocol document). */

/** The one context that is served: how blocks are allocated. */
export const BASE_ALLOCATION = "base:allocation";
/** Its id on every connection; the document leaves the number to the server. */
export const BASE_ALLOCATION_ID = 1;

/** The option's data, taken apart. */
export interface MetaContextRequest {
  readonly name: string;
  readonly queries: readonly string[];
}

/** The data of both options, or words for why it is not that. */
export function decodeMetaContextRequest(data: Uint8Array): MetaContextRequest | string {
  const reader = new StringReader(data);
  const name = reader.next("the export's name");
  if (name.kind === "wrong") return name.text;
  const count = reader.count();
  if (count === null) return "the number of queries is missing";
  const queries: string[] = [];
  // A query takes at least four bytes, so a count that lies ends at the end of the data.
  for (let i = 0; i < count; i++) {
    const query = reader.next("a query");
    if (query.kind === "wrong") return query.text;
    queries.push(query.value);
  }
  if (reader.left > 0) return `${reader.left} bytes follow the last query`;
  return { name: name.value, queries };
}

export function encodeMetaContextRequest(request: MetaContextRequest): Uint8Array {
  const count = new Uint8Array(4);
  viewOf(count).setUint32(0, request.queries.length);
  return concat(lengthened(request.name), count, ...request.queries.map(lengthened));
}

/**
 * Whether the queries ask for `base:allocation`. What belongs to namespaces that are not served is
 * ignored, and so are unknown leaves and queries without a namespace. To list, `base:` stands for
 * all of its namespace, and no query at all for everything; neither of them selects anything.
 */
export function asksForAllocation(queries: readonly string[], how: "list" | "set"): boolean {
  if (queries.includes(BASE_ALLOCATION)) return true;
  return how === "list" && (queries.length === 0 || queries.includes("base:"));
}

/** Payload of REPLY.metaContext. */
export function encodeMetaContext(context: { id: number; name: string }): Uint8Array {
  const id = new Uint8Array(4);
  viewOf(id).setUint32(0, context.id);
  return concat(id, utf8(context.name));
}

export function decodeMetaContext(payload: Uint8Array): { id: number; name: string } | string {
  if (payload.length < 4) return "a metadata context needs at least 4 bytes";
  const decoded = decodeName(payload.subarray(4));
  if (typeof decoded === "string") return decoded;
  return { id: viewOf(payload).getUint32(0), name: decoded.name };
}

type NextString =
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "wrong"; readonly text: string };

/** Reads strings with 32-bit lengths before them. */
class StringReader {
  readonly #data: Uint8Array;
  #at = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  get left(): number {
    return this.#data.length - this.#at;
  }

  count(): number | null {
    if (this.left < 4) return null;
    const value = viewOf(this.#data).getUint32(this.#at);
    this.#at += 4;
    return value;
  }

  next(what: string): NextString {
    const length = this.count();
    if (length === null) return { kind: "wrong", text: `the length of ${what} is missing` };
    if (length > this.left) return { kind: "wrong", text: `${what} is longer than the option` };
    const decoded = decodeName(this.#data.subarray(this.#at, this.#at + length));
    this.#at += length;
    if (typeof decoded === "string") return { kind: "wrong", text: `${what}: ${decoded}` };
    return { kind: "string", value: decoded.name };
  }
}

function lengthened(text: string): Uint8Array {
  const bytes = utf8(text);
  const length = new Uint8Array(4);
  viewOf(length).setUint32(0, bytes.length);
  return concat(length, bytes);
}
