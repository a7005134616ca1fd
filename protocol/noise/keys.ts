import { Buffer } from "node:buffer";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  timingSafeEqual,
} from "node:crypto";
import { assert } from "../core/assert.ts";
import { concat, hexOf } from "../core/bytes.ts";

/** X25519 keys, public and private, and shared secrets are all this long. */
export const KEY_BYTES = 32;

/** An X25519 key pair as raw bytes. The private key is a secret: never log it. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

// RFC 8410 §4 and §7: the fixed DER before the raw bytes of an X25519 public and private key.
const SPKI_HEAD = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 3, 33, 0]);
const PKCS8_HEAD = Uint8Array.from(
  [0x30, 0x2e, 2, 1, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 4, 34, 4, 32],
);

/** The pair of a private key: 32 random bytes, from the injected randomness. */
export function keyPairOf(privateKey: Uint8Array): KeyPair {
  const spki = createPublicKey(importPrivate(privateKey)).export({ format: "der", type: "spki" });
  return {
    publicKey: Uint8Array.from(spki.subarray(SPKI_HEAD.length)),
    privateKey: privateKey.slice(),
  };
}

/** A node's id: the first 16 bytes of SHA-256 of its public key, in hex (control.md §1). */
export function nodeIdOf(publicKey: Uint8Array): string {
  return hexOf(createHash("sha256").update(publicKey).digest().subarray(0, 16));
}

/**
 * The X25519 shared secret, or null when the peer's key has no secret with anybody (RFC 7748 §6.1:
 * an all-zero result, from a point of small order).
 */
export function sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  assert(publicKey.length === KEY_BYTES, "an X25519 public key is 32 bytes");
  const mine = importPrivate(privateKey);
  const theirs = createPublicKey({
    key: Buffer.from(concat(SPKI_HEAD, publicKey)),
    format: "der",
    type: "spki",
  });
  let secret: Uint8Array;
  try {
    secret = diffieHellman({ privateKey: mine, publicKey: theirs });
  } catch {
    return null; // The library refuses points of small order by itself.
  }
  const zero = timingSafeEqual(secret, new Uint8Array(KEY_BYTES));
  return zero ? null : secret;
}

function importPrivate(privateKey: Uint8Array) {
  assert(privateKey.length === KEY_BYTES, "an X25519 private key is 32 bytes");
  return createPrivateKey({
    key: Buffer.from(concat(PKCS8_HEAD, privateKey)),
    format: "der",
    type: "pkcs8",
  });
}
