import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto";
import { assert } from "../core/assert.ts";
import { concat, viewOf, writeSafeU64 } from "../core/bytes.ts";

export const HASH_BYTES = 32;
/** What sealing adds to a plaintext. */
export const TAG_BYTES = 16;

const NOTHING = new Uint8Array(0);

/** AES-256-GCM: ciphertext and tag. A nonce must never be used twice with one key. */
export function seal(
  o: { key: Uint8Array; nonce: number; associated: Uint8Array; plaintext: Uint8Array },
): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", o.key, nonceBytes(o.nonce));
  cipher.setAAD(o.associated);
  const body = cipher.update(o.plaintext);
  cipher.final();
  return concat(body, cipher.getAuthTag());
}

/** The plaintext, or null when anything about it is not as it was sealed. */
export function open(
  o: { key: Uint8Array; nonce: number; associated: Uint8Array; sealed: Uint8Array },
): Uint8Array | null {
  const bodyBytes = o.sealed.length - TAG_BYTES;
  if (bodyBytes < 0) return null;
  const decipher = createDecipheriv("aes-256-gcm", o.key, nonceBytes(o.nonce), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(o.associated);
  decipher.setAuthTag(o.sealed.subarray(bodyBytes));
  const body = decipher.update(o.sealed.subarray(0, bodyBytes));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return Uint8Array.from(body);
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return Uint8Array.from(hash.digest());
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return Uint8Array.from(mac.digest());
}

/** Noise §4.3: HKDF with two outputs. */
export function hkdf(chainingKey: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
  const temporary = hmacSha256(chainingKey, input);
  const first = hmacSha256(temporary, Uint8Array.of(1));
  return [first, hmacSha256(temporary, first, Uint8Array.of(2))];
}

/** Noise §5.2: chaining key, handshake hash and the current key of a handshake. */
export class SymmetricState {
  #chainingKey: Uint8Array;
  #hash: Uint8Array;
  #key: Uint8Array | null = null;
  #nonce = 0;

  constructor(protocolName: Uint8Array) {
    if (protocolName.length <= HASH_BYTES) {
      this.#hash = concat(protocolName, new Uint8Array(HASH_BYTES - protocolName.length));
    } else {
      this.#hash = sha256(protocolName);
    }
    this.#chainingKey = this.#hash;
  }

  /** One that goes its own way from here. */
  clone(): SymmetricState {
    const copy = new SymmetricState(this.#hash);
    copy.#chainingKey = this.#chainingKey;
    copy.#hash = this.#hash;
    copy.#key = this.#key;
    copy.#nonce = this.#nonce;
    return copy;
  }

  get hash(): Uint8Array {
    return this.#hash;
  }

  get hasKey(): boolean {
    return this.#key !== null;
  }

  mixHash(data: Uint8Array): void {
    this.#hash = sha256(this.#hash, data);
  }

  mixKey(input: Uint8Array): void {
    [this.#chainingKey, this.#key] = hkdf(this.#chainingKey, input);
    this.#nonce = 0;
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    assert(this.#key !== null, "both patterns have a key before anything is encrypted");
    const sealed = seal({
      key: this.#key,
      nonce: this.#nonce++,
      associated: this.#hash,
      plaintext,
    });
    this.mixHash(sealed);
    return sealed;
  }

  decryptAndHash(sealed: Uint8Array): Uint8Array | null {
    assert(this.#key !== null, "both patterns have a key before anything is decrypted");
    const plaintext = open({
      key: this.#key,
      nonce: this.#nonce++,
      associated: this.#hash,
      sealed,
    });
    if (plaintext === null) return null;
    this.mixHash(sealed);
    return plaintext;
  }

  /** Noise §5.2 Split(): the initiator's sending key, then the responder's. */
  split(): [Uint8Array, Uint8Array] {
    return hkdf(this.#chainingKey, NOTHING);
  }
}

/** Noise §12.3: 32 zero bits, then the counter as 64 bits, big-endian. */
function nonceBytes(nonce: number): Uint8Array {
  assert(Number.isSafeInteger(nonce) && nonce >= 0, "a nonce is a counter");
  const bytes = new Uint8Array(12);
  writeSafeU64(viewOf(bytes), 4, nonce);
  return bytes;
}
