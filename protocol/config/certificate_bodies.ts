import { z } from "zod";
import { CERTIFICATE_BYTES_MAX } from "../core/limits.ts";
import { PublicKey } from "./bodies.ts";

const CertificateDer = z.custom<Uint8Array>(
  (value) =>
    value instanceof Uint8Array && value.length > 0 && value.length <= CERTIFICATE_BYTES_MAX,
  `at most ${CERTIFICATE_BYTES_MAX} bytes`,
);

/** The node's TLS key, Ed25519, which it made itself; the session says who the node is. */
export const CertificateRequest = z.strictObject({ publicKey: PublicKey });
export type CertificateRequest = z.infer<typeof CertificateRequest>;

/** Both DER; together they fit one packet. */
export const CertificateAnswer = z.strictObject({
  certificate: CertificateDer,
  /** Of the cluster, which signed the other and signs those of all peers. */
  authority: CertificateDer,
});
export type CertificateAnswer = z.infer<typeof CertificateAnswer>;
