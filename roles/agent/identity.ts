import { z } from "zod";
import { type JoinKey, parseJoinKey } from "../../protocol/config/join_key.ts";
import { clusterText } from "../../protocol/config/packet.ts";
import { bytesEqual, fromHex, fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import type { Random } from "../../protocol/core/random.ts";
import { type KeyPair, keyPairOf, nodeIdOf } from "../../protocol/noise/handshake.ts";
import { KEY_BYTES } from "../../protocol/noise/keys.ts";

/** The node's state directory, handed in. */
export interface StateFiles {
  /** The file's bytes, or null when there is none. */
  read(name: string): Uint8Array | null;
  /** Replaces the file as a whole and durably, readable by the owner only. */
  write(name: string, bytes: Uint8Array): void;
}

/** Who a node is and which station it belongs to. Holds secrets: never log it. */
export interface NodeIdentity {
  readonly keyPair: KeyPair;
  readonly id: string;
  readonly stationKey: Uint8Array;
  /** UUID text. */
  readonly clusterId: string;
  /** For createAgentLink; null when the node has joined. */
  readonly joinSecret: Uint8Array | null;
}

export interface IdentityOptions {
  readonly files: StateFiles;
  readonly random: Random;
  readonly role: "unit" | "host";
  /** The text of `--key FILE`, and FILE for messages. */
  readonly key?: { readonly text: string; readonly path: string };
  /** The operator said that this node is to belong to the station of the key from now on. */
  readonly rejoin?: boolean;
}

const IDENTITY_FILE = "node.json";
const Hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const Stored = z.strictObject({
  role: z.enum(["unit", "host"]),
  privateKey: Hex32,
  station: z.strictObject({
    publicKey: Hex32,
    clusterId: z.string().regex(/^[0-9a-f-]{36}$/),
    joinSecret: Hex32.nullable(),
  }),
});
type Stored = z.infer<typeof Stored>;

/**
 * The node's identity, made and kept at the first start. The join key comes from `--key` or from
 * `unit.key` or `host.key` in the state directory. DvsanError "usage" without any, "invalid" when
 * the key is none, "denied" for the other role's key or another station's, "io" when the kept
 * identity is damaged.
 */
export function openIdentity(o: IdentityOptions): NodeIdentity {
  const stored = readStored(o.files);
  if (stored !== null && stored.role !== o.role) {
    throw new DvsanError(
      "usage",
      `Cannot start a ${o.role} with the state directory of a ${stored.role}. ` +
        `Give each its own --state directory.`,
    );
  }
  const key = readKey(o);
  if (stored === null && key === null) {
    throw new DvsanError(
      "usage",
      `Cannot join a station without its join key: copy ${o.role}.key from the station's state ` +
        `directory into this node's, or give it with --key FILE.`,
    );
  }
  const next = merge(stored, { ...o, key });
  if (JSON.stringify(next) !== JSON.stringify(stored)) writeStored(o.files, next);
  return identityOf(next);
}

/** To be called at the first session: the join secret is needed no more and forgotten. */
export function forgetJoinSecret(files: StateFiles): void {
  const stored = readStored(files);
  if (stored === null || stored.station.joinSecret === null) return;
  writeStored(files, { ...stored, station: { ...stored.station, joinSecret: null } });
}

function merge(
  stored: Stored | null,
  o: Omit<IdentityOptions, "key"> & { key: JoinKey | null },
): Stored {
  const { key, random, role } = o;
  if (stored === null) {
    const station = stationOf(defined(key, "a new node has a join key"));
    return { role, privateKey: hexOf(random.bytes(KEY_BYTES)), station };
  }
  if (key === null) return stored;
  const same = bytesEqual(key.stationKey, bytesOf(stored.station.publicKey)) &&
    clusterText(key.clusterId) === stored.station.clusterId;
  if (!same && o.rejoin !== true) {
    throw new DvsanError(
      "denied",
      `Cannot use this join key: it is of another station than the one this ${role} belongs to. ` +
        `Start it without the key, or with --rejoin if it is to belong to the other station.`,
    );
  }
  // Of its own station: a member needs no key, but one that lost its catalog knows no members.
  return { ...stored, station: stationOf(key) };
}

function readKey(o: IdentityOptions): JoinKey | null {
  const name = `${o.role}.key`;
  const kept = o.key === undefined ? o.files.read(name) : null;
  if (o.key === undefined && kept === null) return null;
  const text = o.key?.text ?? fromUtf8(kept ?? new Uint8Array()) ?? "";
  const where = o.key?.path ?? `${name} in the state directory`;
  const key = parseJoinKey(text);
  if (key === null) {
    throw new DvsanError(
      "invalid",
      `Cannot read the join key ${where}: it is not one line "dvsan-join-1 ${o.role} …". ` +
        `Copy ${name} from the station's state directory again.`,
    );
  }
  if (key.role !== o.role) {
    throw new DvsanError(
      "denied",
      `Cannot join as a ${o.role} with the join key ${where}: it is for ${key.role}s. ` +
        `Use the station's ${name}.`,
    );
  }
  return key;
}

function stationOf(key: JoinKey): Stored["station"] {
  return {
    publicKey: hexOf(key.stationKey),
    clusterId: clusterText(key.clusterId),
    joinSecret: hexOf(key.secret),
  };
}

/** A node never makes a new identity over an unreadable one: its grants name the old one. */
function readStored(files: StateFiles): Stored | null {
  const bytes = files.read(IDENTITY_FILE);
  if (bytes === null) return null;
  try {
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch (error) {
    throw new DvsanError(
      "io",
      `Cannot read this node's identity in ${IDENTITY_FILE} of its state directory: it is ` +
        `damaged. Restore the file; or move it away, and the node joins as a new one.`,
      { cause: error },
    );
  }
}

function writeStored(files: StateFiles, stored: Stored): void {
  files.write(IDENTITY_FILE, utf8(`${JSON.stringify(stored, null, 2)}\n`));
}

function identityOf(stored: Stored): NodeIdentity {
  const keyPair = keyPairOf(bytesOf(stored.privateKey));
  const { publicKey, clusterId, joinSecret } = stored.station;
  return {
    keyPair,
    id: nodeIdOf(keyPair.publicKey),
    stationKey: bytesOf(publicKey),
    clusterId,
    joinSecret: joinSecret === null ? null : bytesOf(joinSecret),
  };
}

function bytesOf(hex: string): Uint8Array {
  return defined(fromHex(hex), "the schema checked it");
}
