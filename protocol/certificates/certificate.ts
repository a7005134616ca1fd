import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import { createHash } from "node:crypto";
import { nodeUri } from "./node_uri.ts";
import { publicKeyDer, signatureOf, signingPublicKey } from "./signing_key.ts";

/**
 * The certificates of a cluster: its authority's, and those that the authority signs for nodes
 * (data-path.md §6). Nobody's clock is trusted, so they are valid from 1970 for ever; who may come
 * in is decided by grants.
 */

export interface Authority {
  /** Ed25519. A secret: never log it. */
  readonly privateKey: Uint8Array;
  /** UUID text. */
  readonly clusterId: string;
}

export interface CertifiedNode {
  readonly role: "unit" | "host";
  /** 32 hex digits. */
  readonly id: string;
  /** In the pool. */
  readonly name: string;
  /** Ed25519, 32 bytes: of its TLS key, not its identity. */
  readonly publicKey: Uint8Array;
}

/** The authority's own certificate, DER: always the same for the same key and cluster. */
export function authorityCertificate(authority: Authority): Uint8Array {
  const publicKey = signingPublicKey(authority.privateKey);
  return signed(authority, {
    subject: authorityName(authority),
    publicKey,
    extensions: [
      extension(
        id_ce_basicConstraints,
        new BasicConstraints({ cA: true, pathLenConstraint: 0 }),
        true,
      ),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign), true),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
    ],
  });
}

/**
 * A node's certificate, DER: always the same for the same node. It names the node by URI, for
 * dvsan, and by its name in the pool where that can be a DNS name, for other NBD clients.
 */
export function issueCertificate(authority: Authority, node: CertifiedNode): Uint8Array {
  const names = [new GeneralName({ uniformResourceIdentifier: nodeUri(node.role, node.id) })];
  if (DNS_NAME.test(node.name)) names.push(new GeneralName({ dNSName: node.name }));
  const issuerKey = signingPublicKey(authority.privateKey);
  return signed(authority, {
    subject: `dvsan ${node.role} ${node.id}`,
    publicKey: node.publicKey,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
      extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth, id_kp_clientAuth])),
      extension(id_ce_subjectAltName, new SubjectAlternativeName(names)),
      extension(
        id_ce_authorityKeyIdentifier,
        new AuthorityKeyIdentifier({ keyIdentifier: new OctetString(keyIdentifier(issuerKey)) }),
      ),
    ],
  });
}

interface Content {
  /** Common name. */
  readonly subject: string;
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Extension[];
}

const ED25519 = "1.3.101.112"; // RFC 8410 §3
const COMMON_NAME = "2.5.4.3"; // RFC 5280 appendix A.1
const NOT_BEFORE = new Date(0);
/** RFC 5280 §4.1.2.5: no end that anybody could tell. */
const NOT_AFTER = new Date("9999-12-31T23:59:59Z");
const DNS_NAME =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

function signed(authority: Authority, content: Content): Uint8Array {
  const { subject, publicKey, extensions } = content;
  const algorithm = new AlgorithmIdentifier({ algorithm: ED25519 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    signature: algorithm,
    issuer: nameOf(authorityName(authority)),
    validity: new Validity({ notBefore: NOT_BEFORE, notAfter: NOT_AFTER }),
    subject: nameOf(subject),
    subjectPublicKeyInfo: AsnConvert.parse(publicKeyDer(publicKey), SubjectPublicKeyInfo),
    extensions: new Extensions(extensions as Extension[]),
  });
  // A number of its own for every content, made of the content.
  tbsCertificate.serialNumber = serialOf(new Uint8Array(AsnConvert.serialize(tbsCertificate)));
  const bytes = new Uint8Array(AsnConvert.serialize(tbsCertificate));
  const signature = signatureOf(bytes, authority.privateKey);
  return new Uint8Array(AsnConvert.serialize(
    new Certificate({
      tbsCertificate,
      signatureAlgorithm: algorithm,
      signatureValue: bufferOf(signature),
    }),
  ));
}

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes. */
function serialOf(content: Uint8Array): ArrayBuffer {
  const serial = createHash("sha256").update(content).digest().subarray(0, 16);
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return bufferOf(serial);
}

function authorityName({ clusterId }: Authority): string {
  return `dvsan cluster ${clusterId}`;
}

function nameOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName });
  const attribute = new AttributeTypeAndValue({ type: COMMON_NAME, value });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

function extension(extnID: string, value: unknown, critical = false): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID, critical, extnValue });
}

/** RFC 7093 §2 method 1: the leading 160 bits of SHA-256. */
function keyIdentifier(publicKey: Uint8Array): ArrayBuffer {
  return bufferOf(createHash("sha256").update(publicKey).digest().subarray(0, 20));
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
