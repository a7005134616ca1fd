import { assert } from "../core/assert.ts";
import { fromHex, hexOf, readSafeU64, viewOf, writeSafeU64 } from "../core/bytes.ts";
import { ANSWER_BODY_BYTES_MAX, PACKET_BYTES_MAX } from "../core/limits.ts";
import { TAG_BYTES } from "../noise/cipher.ts";
import type { RequestName } from "./requests.ts";

/**
 * One datagram: a fixed header in the clear and a body. The table is in format.md. This file turns
 * bytes into a packet or the reason why not, and knows nothing of keys.
 */

export const HEADER_BYTES = 72;
/** The largest piece of a body that fits into one sealed packet. */
export const PAGE_BYTES = PACKET_BYTES_MAX - HEADER_BYTES - TAG_BYTES;
export const PAGES_MAX = Math.ceil(ANSWER_BODY_BYTES_MAX / PAGE_BYTES);

const MAGIC = 0x44565343; // "DVSC"
const VERSION = 1;

/** The number of each message on the wire. Never reuse one. */
export const TYPE_NUMBERS = {
  UNIT_STARTUP: 1,
  HOST_STARTUP: 2,
  HOST_WELCOME: 3,
  /** A session the receiver of the packet does not know. Not sealed: only a hint. */
  UNKNOWN_SESSION: 4,
  ACK: 8,
  REFUSED: 9,
  NEED_STORAGE_INFO: 16,
  VOLUME_CREATE: 17,
  VOLUME_RESIZE: 18,
  VOLUME_DELETE: 19,
  ACCESS_GRANT: 20,
  ACCESS_REVOKE: 21,
  MEDIUM_CHANGE: 23,
  VOLUME_ASSIGNMENT: 22,
  UNIT_SHUTDOWN: 32,
  HOST_SHUTDOWN: 33,
  HEARTBEAT: 34,
  CERTIFICATE_REQUEST: 35,
  STORAGE_REQUEST: 48,
  DISK_GROW: 49,
  DISK_RELEASE: 50,
  DISK_ACCESS: 51,
  TASK_QUERY: 52,
} as const satisfies Record<RequestName, number> & Record<string, number>;

export type PacketType = keyof typeof TYPE_NUMBERS;

const TYPE_NAMES = new Map<number, PacketType>(
  (Object.entries(TYPE_NUMBERS) as [PacketType, number][]).map(([name, number]) => [number, name]),
);

/**
 * handshake: the body is a Noise message with its MACs. sealed: a message inside a session. part:
 * an answer about one page of a request, not the answer itself. pull: asks for one page of the
 * answer. hint: nothing but the header.
 */
export type PacketKind = "handshake" | "sealed" | "part" | "pull" | "hint";

const FLAGS: Record<PacketKind, number> = { sealed: 0, handshake: 1, part: 2, pull: 4, hint: 0 };

export interface PacketHeader {
  readonly type: PacketType;
  readonly kind: PacketKind;
  /** 16 bytes; all zero in the first message of a node that does not know its cluster yet. */
  readonly cluster: Uint8Array;
  /** 32 hex digits: the node's id in handshakes, else the session's. */
  readonly session: string;
  /** Of its sender in this session; never repeated under the same key. */
  readonly counter: number;
  /** Chosen by the asker, the same in its answer; 0 where nothing is asked. */
  readonly correlation: number;
  /** From 0, below `pages`. */
  readonly page: number;
  readonly pages: number;
  /** 16 hex digits: names the whole body that the page is of. */
  readonly revision: string;
}

export interface Packet extends PacketHeader {
  /** As received: what the body was sealed with. */
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

export const NO_REVISION = "0".repeat(16);
export const NO_CLUSTER = new Uint8Array(16);

/** What most packets are: one page, no correlation. */
export function packetHeader(
  o: Pick<PacketHeader, "type" | "kind" | "cluster" | "session"> & Partial<PacketHeader>,
): PacketHeader {
  return { counter: 0, correlation: 0, page: 0, pages: 1, revision: NO_REVISION, ...o };
}

export function encodeHeader(header: PacketHeader, bodyBytes: number): Uint8Array {
  assert(bodyBytes <= PACKET_BYTES_MAX - HEADER_BYTES, "a body must fit into one packet");
  assert(header.page < header.pages && header.pages <= PAGES_MAX, "a page is one of the pages");
  const session = fromHex(header.session);
  const revision = fromHex(header.revision);
  assert(session?.length === 16 && revision?.length === 8, "ids have a fixed length");
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC);
  view.setUint8(4, VERSION);
  view.setUint8(5, TYPE_NUMBERS[header.type]);
  view.setUint8(6, FLAGS[header.kind]);
  bytes.set(header.cluster, 8);
  bytes.set(session, 24);
  writeSafeU64(view, 40, header.counter);
  writeSafeU64(view, 48, header.correlation);
  view.setUint16(56, header.page);
  view.setUint16(58, header.pages);
  bytes.set(revision, 60);
  view.setUint16(68, bodyBytes);
  return bytes;
}

/** The packet, or the reason in words why these bytes are none. Reads no byte twice as another. */
export function decodePacket(bytes: Uint8Array): Packet | string {
  if (bytes.length < HEADER_BYTES) return "shorter than a header";
  if (bytes.length > PACKET_BYTES_MAX) return "longer than a packet may be";
  const view = viewOf(bytes);
  if (view.getUint32(0) !== MAGIC) return "not a dvsan packet";
  if (view.getUint8(4) !== VERSION) return "another version";
  const type = TYPE_NAMES.get(view.getUint8(5));
  if (type === undefined) return "unknown type";
  const kind = kindOf(type, view.getUint8(6));
  if (kind === null) return "flags that do not go with the type";
  if (view.getUint8(7) !== 0 || view.getUint16(70) !== 0) return "reserved bytes that are not zero";
  const bodyBytes = view.getUint16(68);
  if (bodyBytes !== bytes.length - HEADER_BYTES) return "a body of another length than it says";
  const counter = readSafeU64(view, 40);
  const correlation = readSafeU64(view, 48);
  if (counter < 0 || correlation < 0) return "a number out of range";
  const page = view.getUint16(56);
  const pages = view.getUint16(58);
  if (page >= pages || pages > PAGES_MAX) return "a page that is not one of its pages";
  if (kind === "hint" ? bodyBytes !== 0 : bodyBytes < TAG_BYTES) return "a body of no such size";
  return {
    type,
    kind,
    cluster: bytes.subarray(8, 24),
    session: hexOf(bytes.subarray(24, 40)),
    counter,
    correlation,
    page,
    pages,
    revision: hexOf(bytes.subarray(60, 68)),
    header: bytes.subarray(0, HEADER_BYTES),
    body: bytes.subarray(HEADER_BYTES),
  };
}

/** NEED_STORAGE_INFO is both message 2 of a unit's handshake and a request inside a session. */
function kindOf(type: PacketType, flags: number): PacketKind | null {
  const answer = type === "ACK" || type === "REFUSED";
  switch (type) {
    case "UNKNOWN_SESSION":
      return flags === FLAGS.hint ? "hint" : null;
    case "UNIT_STARTUP":
    case "HOST_STARTUP":
    case "HOST_WELCOME":
      return flags === FLAGS.handshake ? "handshake" : null;
    default:
      if (flags === FLAGS.sealed) return "sealed";
      if (flags === FLAGS.part) return answer ? "part" : null;
      if (flags === FLAGS.pull) return answer ? null : "pull";
      if (flags === FLAGS.handshake && type === "NEED_STORAGE_INFO") return "handshake";
      return null;
  }
}

/** The cluster's id as bytes; it is a UUID. */
export function clusterBytes(clusterId: string): Uint8Array {
  const bytes = fromHex(clusterId.replaceAll("-", ""));
  assert(bytes?.length === 16, "a cluster's id is a UUID");
  return bytes;
}

export function clusterText(cluster: Uint8Array): string {
  const hex = hexOf(cluster);
  return [0, 8, 12, 16, 20].map((at, i, cuts) => hex.slice(at, cuts[i + 1] ?? 32)).join("-");
}
