import { X509Certificate } from "node:crypto";

/** Who may be at the other end of a TLS connection. */
export interface ExpectedPeer {
  /** PEM or DER. The peer's certificate is signed by one of them directly. */
  readonly authorities: readonly (string | Uint8Array)[];
  /** That the certificate must name as its subject's alternative name; null: any. */
  readonly uri: string | null;
}

/**
 * Why a certificate (DER) is not of the peer that was expected, in words, or null.
 *
 * The TLS library has verified the chain before. This is looked at again because the runtime takes
 * certificates that its library cannot read (X.509 version 1, odd encodings) on the issuer's name
 * alone, so that anybody could make one.
 */
export function peerProblem(certificate: Uint8Array | null, expected: ExpectedPeer): string | null {
  if (certificate === null) return "it showed no certificate";
  let peer: X509Certificate;
  try {
    peer = new X509Certificate(certificate);
  } catch {
    return "its certificate cannot be read";
  }
  if (!expected.authorities.some((authority) => signedBy(peer, authority))) {
    return "its certificate is not signed by the authority that is trusted here";
  }
  if (expected.uri === null) return null;
  const uris = urisOf(peer);
  if (uris.includes(expected.uri)) return null;
  const named = uris[0] === undefined ? "names nobody" : `names ${uris[0].slice(0, 128)}`;
  return `its certificate ${named}, and ${expected.uri} was expected`;
}

function signedBy(peer: X509Certificate, authority: string | Uint8Array): boolean {
  try {
    const issuer = new X509Certificate(authority);
    return issuer.ca && peer.checkIssued(issuer) && peer.verify(issuer.publicKey);
  } catch {
    return false; // A key or signature of a kind that the runtime does not know.
  }
}

/** RFC 5280 §4.2.1.6. A name with a comma is quoted by the runtime, and then is none of ours. */
function urisOf(certificate: X509Certificate): string[] {
  const names = certificate.subjectAltName?.split(", ") ?? [];
  return names.filter((name) => name.startsWith("URI:")).map((name) => name.slice(4));
}
