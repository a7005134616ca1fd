import { concat, fromHex, hexOf } from "../core/bytes.ts";

/**
 * What a new node is given to join with: the station's public key, the role that it admits, the
 * cluster, and that role's join secret. One line of text in `unit.key` or `host.key`:
 * `dvsan-join-1 unit <hex of station key, cluster id, secret>`.
 */
export interface JoinKey {
  readonly role: "unit" | "host";
  /** X25519, 32 bytes. */
  readonly stationKey: Uint8Array;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** 32 bytes. Never log it. */
  readonly secret: Uint8Array;
}

const HEAD = "dvsan-join-1";
const KEY_BYTES = 32;
const CLUSTER_BYTES = 16;
const SECRET_BYTES = 32;

export function formatJoinKey(key: JoinKey): string {
  return `${HEAD} ${key.role} ${hexOf(concat(key.stationKey, key.clusterId, key.secret))}\n`;
}

/** The key in `text`, or null when it is not one. */
export function parseJoinKey(text: string): JoinKey | null {
  const [head, role, hex, ...rest] = text.trim().split(/\s+/);
  if (head !== HEAD || rest.length > 0 || hex === undefined) return null;
  if (role !== "unit" && role !== "host") return null;
  const bytes = fromHex(hex);
  if (bytes === null || bytes.length !== KEY_BYTES + CLUSTER_BYTES + SECRET_BYTES) return null;
  return {
    role,
    stationKey: bytes.slice(0, KEY_BYTES),
    clusterId: bytes.slice(KEY_BYTES, KEY_BYTES + CLUSTER_BYTES),
    secret: bytes.slice(KEY_BYTES + CLUSTER_BYTES),
  };
}
