import assert from "node:assert/strict";
import { authorityCertificate, issueCertificate } from "../../protocol/certificates/certificate.ts";
import { pemOf } from "../../protocol/certificates/pem.ts";
import { privateKeyPem, signingPublicKey } from "../../protocol/certificates/signing_key.ts";
import { utf8 } from "../../protocol/core/bytes.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { TLS_FILE_BYTES_MAX } from "../../protocol/core/limits.ts";
import { credentialsOfFiles } from "./tls_files.ts";

const KEY = new Uint8Array(32).fill(7);
const AUTHORITY = {
  privateKey: new Uint8Array(32).fill(8),
  clusterId: "00112233-4455-6677-8899-aabbccddeeff",
};
const NODE = {
  role: "unit",
  id: "00112233445566778899aabbccddeeff",
  name: "u1",
  publicKey: signingPublicKey(KEY),
} as const;
const CERTIFICATE = pemOf(issueCertificate(AUTHORITY, NODE));
const AUTHORITY_PEM = pemOf(authorityCertificate(AUTHORITY));
const FILES: Readonly<Record<string, string>> = {
  "cert.pem": CERTIFICATE,
  "key.pem": privateKeyPem(KEY),
  "other.pem": privateKeyPem(new Uint8Array(32).fill(9)),
  "ca.pem": AUTHORITY_PEM + AUTHORITY_PEM,
  "text": "nothing",
  "broken.pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
  "long": "x".repeat(TLS_FILE_BYTES_MAX + 1),
};
const process = { readFile: (path: string) => utf8(FILES[path] ?? "") };

function credentials(certificate: string | null, key: string | null, authorities: string | null) {
  return credentialsOfFiles({ policy: "require", certificate, key, authorities }, process);
}

Deno.test("credentialsOfFiles() reads what was named, and null where nothing was", () => {
  assert.equal(credentials(null, null, null), null);
  const open = credentials("cert.pem", "key.pem", null);
  assert.deepEqual(open?.authorities, []);
  assert.equal(open.verifyClients, false);
  const closed = credentials("cert.pem", "key.pem", "ca.pem");
  assert.equal(closed?.authorities.length, 2);
  assert.ok(closed.verifyClients, "an authority means that clients show a certificate");
  assert.equal(closed.certificate, CERTIFICATE);
});

Deno.test("credentialsOfFiles() names the file that cannot be used, and why", () => {
  const refused = (words: RegExp) => (error: unknown) =>
    error instanceof DvsanError && error.code === "usage" && words.test(error.message) &&
    !error.message.includes("PRIVATE");
  assert.throws(() => credentials("text", "key.pem", null), refused(/text.*no certificate/));
  assert.throws(() => credentials("broken.pem", "key.pem", null), refused(/broken\.pem.*be read/));
  assert.throws(() => credentials("cert.pem", "text", null), refused(/text.*no private key/));
  assert.throws(() => credentials("cert.pem", "other.pem", null), refused(/other\.pem.*not that/));
  assert.throws(() => credentials("cert.pem", "key.pem", "text"), refused(/text.*no certificate/));
  assert.throws(() => credentials("long", "key.pem", null), refused(/long.*at most/));
});
