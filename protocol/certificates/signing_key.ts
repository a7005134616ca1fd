import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { concat } from "../core/bytes.ts";

/** An Ed25519 private key (its seed), public key: raw bytes of this length. */
export const SIGNING_KEY_BYTES = 32;

/**
 * Keys of TLS certificates are Ed25519: made from injected bytes as they are, and signing needs no
 * randomness, so that a certificate is a function of its keys and content. That keeps simulations
 * repeatable, and a certificate that was lost is made again as it was.
 */

// RFC 8410 §4 and §7: the fixed DER before the raw bytes of an Ed25519 public and private key.
const SPKI_HEAD = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 3, 33, 0]);
const PKCS8_HEAD = Uint8Array.from(
  [0x30, 0x2e, 2, 1, 0, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 4, 34, 4, 32],
);

export function signingPublicKey(privateKey: Uint8Array): Uint8Array {
  const spki = createPublicKey(importPrivate(privateKey)).export({ format: "der", type: "spki" });
  return Uint8Array.from(spki.subarray(SPKI_HEAD.length));
}

/** 64 bytes. */
export function signatureOf(message: Uint8Array, privateKey: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, importPrivate(privateKey)));
}

/** DER of the SubjectPublicKeyInfo (RFC 5280 §4.1). */
export function publicKeyDer(publicKey: Uint8Array): Uint8Array {
  return concat(SPKI_HEAD, publicKey);
}

/** PKCS #8 in PEM, as TLS libraries read it. A secret: never log it. */
export function privateKeyPem(privateKey: Uint8Array): string {
  return String(importPrivate(privateKey).export({ format: "pem", type: "pkcs8" }));
}

function importPrivate(privateKey: Uint8Array) {
  const key = Buffer.from(concat(PKCS8_HEAD, privateKey));
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}
