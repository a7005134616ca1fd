import { concat, fromUtf8, utf8, viewOf } from "../../protocol/core/bytes.ts";
import { TLS_REASON_BYTES_MAX } from "../../protocol/core/limits.ts";

/**
 * How a handshake as a client ended, as the first bytes on the socket pair: 0 when it stands, or 1,
 * the length of the reason (2 bytes) and the reason.
 */
export function encodeVerdict(reason: string | null): Uint8Array {
  if (reason === null) return Uint8Array.of(0);
  const text = utf8(reason).subarray(0, TLS_REASON_BYTES_MAX);
  const head = new Uint8Array(3);
  head[0] = 1;
  viewOf(head).setUint16(1, text.length);
  return concat(head, text);
}

export type Verdict =
  | { readonly kind: "incomplete" }
  /** What follows is the server's, from this position on. */
  | { readonly kind: "secure"; readonly end: number }
  | { readonly kind: "failed"; readonly reason: string };

/** Reads the verdict in what was received so far. */
export function decodeVerdict(bytes: Uint8Array): Verdict {
  if (bytes.length === 0) return { kind: "incomplete" };
  if (bytes[0] === 0) return { kind: "secure", end: 1 };
  if (bytes.length < 3) return { kind: "incomplete" };
  const end = 3 + viewOf(bytes).getUint16(1);
  if (bytes.length < end) return { kind: "incomplete" };
  return { kind: "failed", reason: fromUtf8(bytes.subarray(3, end)) ?? "no reason that is text" };
}
