import { createHash } from "node:crypto";
import { z } from "zod";
import { fromHex, fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { NAME_CHARACTERS_MAX, REVOKED_NODES_MAX } from "../../protocol/core/limits.ts";
import { type Random, randomUuid } from "../../protocol/core/random.ts";
import { formatJoinKey } from "../../protocol/config/join_key.ts";
import type { Authority } from "../../protocol/certificates/certificate.ts";
import { KEY_BYTES, type KeyPair, keyPairOf } from "../../protocol/noise/keys.ts";
import type { StateFiles } from "./ports.ts";

export type NodeRole = "unit" | "host";

/** The recovery bundle: whoever has it is this station, to its nodes and as their authority. */
const IDENTITY_FILE = "station.json";
const KEY_FILES = { unit: "unit.key", host: "host.key" } as const;
const TOKEN_FILE = "admin.token";
const TOKEN_BYTES = 24;

const Secret = z.string().regex(/^[0-9a-f]{64}$/);

/** A node whose membership was ended for good. */
const RevokedNode = z.strictObject({
  id: z.string().max(64),
  name: z.string().max(NAME_CHARACTERS_MAX),
  role: z.enum(["unit", "host"]),
  /** Hex. */
  publicKey: Secret,
});
export type RevokedNode = z.infer<typeof RevokedNode>;

const Stored = z.strictObject({
  clusterId: z.uuid(),
  privateKey: Secret,
  joinSecrets: z.strictObject({ unit: Secret, host: Secret }),
  /** Of the certificate authority (protocol/certificates); its certificate follows from it. */
  authorityKey: Secret.optional(),
  /** Beside the catalog, so that one that is lost or restored lets none of them in again. */
  revoked: z.array(RevokedNode).max(REVOKED_NODES_MAX).optional(),
  /** SHA-256 of all of the above; files of earlier versions have none. */
  checksum: Secret.optional(),
});
/** A station of before TLS has no authority yet. */
type Stored = Omit<z.infer<typeof Stored>, "checksum"> & { readonly authorityKey: string };

/** Who the station is. Its secrets stay in its state directory and out of every log. */
export class StationIdentity {
  readonly keys: KeyPair;
  /** UUID text. */
  readonly clusterId: string;
  /** True when it was made just now: the operator is asked to keep a copy. */
  readonly isNew: boolean;
  readonly #files: StateFiles;
  readonly #random: Random;
  #stored: Stored;

  /** Reads the identity, or makes one at the first start; DvsanError "io" when it is unreadable. */
  constructor(files: StateFiles, random: Random) {
    this.#files = files;
    this.#random = random;
    const bytes = files.read(IDENTITY_FILE);
    this.isNew = bytes === null;
    const found = bytes === null ? newIdentity(random) : parseIdentity(bytes, files);
    const { authorityKey = hexOf(random.bytes(KEY_BYTES)) } = found;
    const { checksum: _checksum, ...rest } = found;
    this.#stored = { ...rest, authorityKey };
    if (this.isNew || found.checksum === undefined) this.#save();
    this.keys = keyPairOf(bytesOf(this.#stored.privateKey));
    this.clusterId = this.#stored.clusterId;
    this.#writeKeyFile("unit");
    this.#writeKeyFile("host");
  }

  /** The cluster id's 16 bytes, as packets carry them. */
  get clusterBytes(): Uint8Array {
    return bytesOf(this.clusterId.replaceAll("-", ""));
  }

  /** Signs the certificates of this cluster's nodes. */
  get authority(): Authority {
    return { privateKey: bytesOf(this.#stored.authorityKey), clusterId: this.clusterId };
  }

  /** The secret with which new nodes of this role join; changes when it is rotated. */
  joinSecret(role: NodeRole): Uint8Array {
    return bytesOf(this.#stored.joinSecrets[role]);
  }

  /** Nodes that are never let in again. */
  get revoked(): readonly RevokedNode[] {
    return this.#stored.revoked ?? [];
  }

  /**
   * Durable when it returns; those that it has already change nothing. DvsanError "io" when it
   * cannot be written, "limit" when there are too many to be kept here.
   */
  keepRevoked(nodes: readonly RevokedNode[]): void {
    const known = new Set(this.revoked.map(({ id }) => id));
    const fresh = nodes.filter(({ id }) => !known.has(id));
    if (fresh.length === 0) return;
    const revoked = [...this.revoked, ...fresh];
    if (revoked.length > REVOKED_NODES_MAX) {
      throw new DvsanError("limit", `${this.revoked.length} revoked nodes are kept, the most.`);
    }
    this.#replace({ ...this.#stored, revoked });
  }

  /** The administrator's token for the API, made when its file is missing or empty. */
  adminToken(): string {
    const found = fromUtf8(this.#files.read(TOKEN_FILE) ?? new Uint8Array())?.trim();
    if (found !== undefined && found.length >= TOKEN_BYTES) return found;
    const token = hexOf(this.#random.bytes(TOKEN_BYTES));
    this.#files.write(TOKEN_FILE, utf8(`${token}\n`));
    return token;
  }

  /** Where the operator finds a file that the station wrote. */
  path(file: "unit" | "host" | "token" | "identity"): string {
    if (file === "token") return this.#files.path(TOKEN_FILE);
    return this.#files.path(file === "identity" ? IDENTITY_FILE : KEY_FILES[file]);
  }

  /** A new join secret; nodes that have joined do not notice. */
  rotate(role: NodeRole): void {
    const joinSecrets = { ...this.#stored.joinSecrets, [role]: hexOf(this.#random.bytes(32)) };
    this.#replace({ ...this.#stored, joinSecrets });
    this.#writeKeyFile(role);
  }

  #replace(next: Stored): void {
    const before = this.#stored;
    this.#stored = next;
    try {
      this.#save();
    } catch (error) {
      this.#stored = before; // It is still the one in the file.
      throw error;
    }
  }

  #save(): void {
    const whole = { ...this.#stored, checksum: checksumOf(this.#stored) };
    this.#files.write(IDENTITY_FILE, utf8(`${JSON.stringify(whole, null, 2)}\n`));
  }

  /** Also at every start: a rotation may have been cut between its two files. */
  #writeKeyFile(role: NodeRole): void {
    const text = formatJoinKey({
      role,
      stationKey: this.keys.publicKey,
      clusterId: this.clusterBytes,
      secret: this.joinSecret(role),
    });
    const before = this.#files.read(KEY_FILES[role]);
    if (before === null || fromUtf8(before) !== text) {
      this.#files.write(KEY_FILES[role], utf8(text));
    }
  }
}

function newIdentity(random: Random): z.infer<typeof Stored> {
  const secret = () => hexOf(random.bytes(KEY_BYTES));
  return {
    clusterId: randomUuid(random),
    privateKey: secret(),
    joinSecrets: { unit: secret(), host: secret() },
    authorityKey: secret(),
  };
}

/** A station never makes a new identity over an unreadable one: its nodes would not know it. */
function parseIdentity(bytes: Uint8Array, files: StateFiles): z.infer<typeof Stored> {
  try {
    const { checksum, ...rest } = Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
    if (checksum === undefined) return rest;
    if (checksum !== checksumOf(rest)) throw new DvsanError("io", "its checksum is another");
    return { ...rest, checksum };
  } catch {
    throw new DvsanError(
      "io",
      `Cannot read the station's identity in ${files.path(IDENTITY_FILE)}: it is damaged. ` +
        `Restore the file from your copy; without it the nodes have to rejoin a new station.`,
    );
  }
}

/** Of all the values, whatever order a copy has them in. */
function checksumOf(stored: Omit<z.infer<typeof Stored>, "checksum">): string {
  const { clusterId, privateKey, joinSecrets, authorityKey, revoked } = stored;
  const { unit, host } = joinSecrets;
  const listed = (revoked ?? []).map((node) => [node.id, node.name, node.role, node.publicKey]);
  const all = [clusterId, privateKey, unit, host, authorityKey ?? "", listed];
  return createHash("sha256").update(JSON.stringify(all)).digest("hex");
}

function bytesOf(hex: string): Uint8Array {
  return defined(fromHex(hex), "stored secrets were checked to be hex");
}
