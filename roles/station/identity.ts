import { z } from "zod";
import { fromHex, fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import { defined } from "../../protocol/core/assert.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
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
const Stored = z.strictObject({
  clusterId: z.uuid(),
  privateKey: Secret,
  joinSecrets: z.strictObject({ unit: Secret, host: Secret }),
  /** Of the certificate authority (protocol/certificates); its certificate follows from it. */
  authorityKey: Secret.optional(),
});
/** A station of before TLS has no authority yet. */
type Stored = z.infer<typeof Stored> & { readonly authorityKey: string };

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
    this.#stored = { ...found, authorityKey };
    if (this.isNew || found.authorityKey === undefined) this.#save();
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
    const before = this.#stored;
    this.#stored = { ...before, joinSecrets };
    try {
      this.#save();
    } catch (error) {
      this.#stored = before; // The old key is still the one in the file.
      throw error;
    }
    this.#writeKeyFile(role);
  }

  #save(): void {
    this.#files.write(IDENTITY_FILE, utf8(`${JSON.stringify(this.#stored, null, 2)}\n`));
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
    return Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
  } catch {
    throw new DvsanError(
      "io",
      `Cannot read the station's identity in ${files.path(IDENTITY_FILE)}: it is damaged. ` +
        `Restore the file from your copy; without it the nodes have to rejoin a new station.`,
    );
  }
}

function bytesOf(hex: string): Uint8Array {
  return defined(fromHex(hex), "stored secrets were checked to be hex");
}
