import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import { AF_INET, AF_INET6, AF_UNIX, SOCKADDR_BYTES_MAX, UNIX_PATH_BYTES_MAX } from "./abi.ts";
import type { SocketAddress } from "./io.ts";
import { cString, type Libc } from "./libc.ts";

/** A struct sockaddr_in, sockaddr_in6 or sockaddr_un and how much of it counts. */
export interface RawAddress {
  readonly family: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly length: number;
}

/** The socket address of a literal IPv4 or IPv6 address, or null when it is none. */
export function encodeInet(libc: Libc, at: SocketAddress): RawAddress | null {
  const text = cString(at.address);
  if (text === null || !(at.port >= 0 && at.port <= 65535)) return null;
  const bytes = new Uint8Array(SOCKADDR_BYTES_MAX);
  const view = new DataView(bytes.buffer);
  const family = at.address.includes(":") ? AF_INET6 : AF_INET;
  view.setUint16(0, family, true);
  view.setUint16(2, at.port);
  const place = bytes.subarray(family === AF_INET ? 4 : 8);
  if (libc.call.inet_pton(family, text, place) !== 1) return null;
  return { family, bytes, length: family === AF_INET ? 16 : 28 };
}

/** The address of a Unix socket, or null when the path is empty, too long or holds a NUL. */
export function encodeUnix(path: string): RawAddress | null {
  const raw = utf8(path);
  if (raw.length === 0 || raw.length >= UNIX_PATH_BYTES_MAX || raw.includes(0)) return null;
  const bytes = new Uint8Array(SOCKADDR_BYTES_MAX);
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(raw, 2);
  return { family: AF_UNIX, bytes, length: 2 + raw.length + 1 };
}

/** Text and port of what getsockname or getpeername gave; a Unix socket's path has port 0. */
export function decodeAddress(libc: Libc, bytes: Uint8Array<ArrayBuffer>): SocketAddress {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const family = view.getUint16(0, true);
  if (family !== AF_INET && family !== AF_INET6) {
    return { address: textUntilNul(bytes.subarray(2)), port: 0 };
  }
  const text = new Uint8Array(64);
  const source = bytes.subarray(family === AF_INET ? 4 : 8);
  libc.call.inet_ntop(family, source, text, text.length);
  return { address: textUntilNul(text), port: view.getUint16(2) };
}

function textUntilNul(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return fromUtf8(end < 0 ? bytes : bytes.subarray(0, end)) ?? "";
}
