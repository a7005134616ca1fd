import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { hexOf } from "../core/bytes.ts";
import { CERTIFICATE_BYTES_MAX } from "../core/limits.ts";
import { authorityCertificate, issueCertificate } from "./certificate.ts";
import { nodeUri } from "./node_uri.ts";
import { peerProblem } from "./peer.ts";
import { certificatesInPem, pemOf } from "./pem.ts";
import { privateKeyPem, signingPublicKey } from "./signing_key.ts";

const CLUSTER = "00112233-4455-6677-8899-aabbccddeeff";
const AUTHORITY = { privateKey: fixed("authority"), clusterId: CLUSTER };
const UNIT_ID = "00112233445566778899aabbccddeeff";
const UNIT = {
  role: "unit",
  id: UNIT_ID,
  name: "u1",
  publicKey: signingPublicKey(fixed("unit")),
} as const;
const UNIT_URI = nodeUri("unit", UNIT_ID);

Deno.test("authorityCertificate() makes a root for ever, and always the same one", () => {
  const der = authorityCertificate(AUTHORITY);
  const certificate = new X509Certificate(der);
  assert.ok(certificate.ca);
  assert.ok(certificate.verify(certificate.publicKey));
  assert.equal(certificate.subject, `CN=dvsan cluster ${CLUSTER}`);
  assert.equal(certificate.validFrom, "Jan  1 00:00:00 1970 GMT");
  assert.equal(certificate.validTo, "Dec 31 23:59:59 9999 GMT");
  assert.deepEqual(authorityCertificate(AUTHORITY), der);
});

Deno.test("issueCertificate() names the node by URI and name, and fits a packet", () => {
  const der = issueCertificate(AUTHORITY, UNIT);
  const certificate = new X509Certificate(der);
  assert.ok(!certificate.ca);
  assert.equal(certificate.subjectAltName, `URI:${UNIT_URI}, DNS:u1`);
  assert.equal(certificate.validFrom, "Jan  1 00:00:00 1970 GMT");
  assert.equal(certificate.validTo, "Dec 31 23:59:59 9999 GMT");
  assert.ok(certificate.checkIssued(new X509Certificate(authorityCertificate(AUTHORITY))));
  assert.deepEqual(issueCertificate(AUTHORITY, UNIT), der);
  const other = new X509Certificate(issueCertificate(AUTHORITY, { ...UNIT, name: "u2" }));
  assert.notEqual(other.serialNumber, certificate.serialNumber);
});

Deno.test("certificates are as they were: nodes keep them for as long as they live", () => {
  // Held against the bytes of the first version: a change of the encoding is seen here.
  const digest = (der: Uint8Array) => hexOf(createHash("sha256").update(der).digest());
  assert.equal(
    digest(authorityCertificate(AUTHORITY)),
    "cfab13a6b6de152f1df3ee22a8aa9bb7a2862ee468e2bc6d1076bd571017f56c",
  );
  assert.equal(
    digest(issueCertificate(AUTHORITY, UNIT)),
    "1d119063cffe74f15c75858132f0d2e0077f57ad915cdc14ef1fa384ebca2023",
  );
});

Deno.test("issueCertificate() keeps to its limit and is accepted for every name of a node", () => {
  const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);
  fc.assert(
    fc.property(name, (name) => {
      const der = issueCertificate(AUTHORITY, { ...UNIT, name });
      assert.ok(der.length <= CERTIFICATE_BYTES_MAX);
      assert.equal(peerProblem(der, trusted(UNIT_URI)), null);
    }),
    { seed: 1, numRuns: 50 },
  );
});

Deno.test("peerProblem() takes the peer whose URI was expected, and any when none was", () => {
  const der = issueCertificate(AUTHORITY, UNIT);
  assert.equal(peerProblem(der, trusted(UNIT_URI)), null);
  assert.equal(peerProblem(der, trusted(null)), null);
  const pem = pemOf(authorityCertificate(AUTHORITY));
  assert.equal(peerProblem(der, { authorities: [pem], uri: UNIT_URI }), null);
});

Deno.test("peerProblem() refuses another node's certificate, and says whose it is", () => {
  const der = issueCertificate(AUTHORITY, { ...UNIT, id: "ff".repeat(16) });
  assert.match(peerProblem(der, trusted(UNIT_URI)) ?? "", /names urn:dvsan:unit:ffff.* expected/);
  const host = issueCertificate(AUTHORITY, { ...UNIT, role: "host" });
  assert.match(peerProblem(host, trusted(UNIT_URI)) ?? "", /names urn:dvsan:host:/);
  const ca = authorityCertificate(AUTHORITY);
  assert.match(peerProblem(ca, trusted(UNIT_URI)) ?? "", /names nobody/);
});

Deno.test("peerProblem() refuses what another authority of the same name signed", () => {
  const impostor = { ...AUTHORITY, privateKey: fixed("impostor") };
  const der = issueCertificate(impostor, UNIT);
  assert.match(peerProblem(der, trusted(UNIT_URI)) ?? "", /not signed by the authority/);
  const root = authorityCertificate(impostor);
  assert.match(peerProblem(root, trusted(null)) ?? "", /not signed by the authority/);
});

Deno.test("peerProblem() refuses what a node signed with its own certificate", () => {
  const node = { privateKey: fixed("unit"), clusterId: CLUSTER };
  const der = issueCertificate(node, UNIT);
  const authorities = [issueCertificate(AUTHORITY, UNIT)];
  assert.match(peerProblem(der, { authorities, uri: null }) ?? "", /not signed by the authority/);
});

Deno.test("peerProblem() refuses a certificate with any of its content changed, and none", () => {
  const der = issueCertificate(AUTHORITY, UNIT);
  const expected = trusted(UNIT_URI);
  // RFC 5280 §4.1: a header, what is signed with its own header, then how and the signature.
  const contentEnd = 4 + 4 + ((der[6]! << 8) | der[7]!);
  for (let at = 8; at < contentEnd; at += 5) {
    const changed = der.slice();
    changed[at]! ^= 1 << (at % 8);
    assert.notEqual(peerProblem(changed, expected), null, `byte ${at}`);
  }
  assert.notEqual(peerProblem(new Uint8Array(), trusted(null)), null);
  assert.match(peerProblem(null, trusted(null)) ?? "", /no certificate/);
});

Deno.test("certificatesInPem() reads what pemOf() wrote, several and among other text", () => {
  const one = pemOf(authorityCertificate(AUTHORITY));
  const two = pemOf(issueCertificate(AUTHORITY, UNIT));
  const found = certificatesInPem(`a comment\n${one}${privateKeyPem(fixed("unit"))}${two}`);
  assert.deepEqual(found.map((text) => text.trim()), [one.trim(), two.trim()]);
  assert.deepEqual(
    new Uint8Array(new X509Certificate(found[1]!).raw),
    issueCertificate(AUTHORITY, UNIT),
  );
  assert.deepEqual(certificatesInPem("nothing"), []);
});

function trusted(uri: string | null) {
  return { authorities: [authorityCertificate(AUTHORITY)], uri };
}

/** 32 bytes that are named, not random. */
function fixed(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(Buffer.from(name)).digest());
}
