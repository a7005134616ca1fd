/** Limits of TLS on data connections (protocol/certificates, storage/tls): part of limits.ts. */

/** A certificate of the cluster, DER: the authority's and a node's fit one packet together. */
export const CERTIFICATE_BYTES_MAX = 512;
/** Connections of one TLS worker: all of a server's, or as many legs. */
export const TLS_CONNECTIONS_MAX = 2048;
/** TLS workers of a process, each with an event loop of its own; and at most its processors. */
export const TLS_WORKERS_MAX = 4;
/** From STARTTLS to the end of the handshake; whoever waits for it may have less patience. */
export const TLS_HANDSHAKE_MS = 10_000;
/** How long a connection that was closed on one side is kept until the other has taken the rest. */
export const TLS_LINGER_MS = 5_000;
/** Why a handshake failed, in words, as the data worker is told. */
export const TLS_REASON_BYTES_MAX = 512;
/** One read of what the data worker says to a connection; and while that says little. */
export const TLS_PLAIN_BYTES = 65_536;
export const TLS_PLAIN_IDLE_BYTES = 4096;
/** A file with certificates or a key that the operator names. */
export const TLS_FILE_BYTES_MAX = 65_536;
/** A node that was not given its certificate asks again after this. */
export const TLS_CERTIFICATE_RETRY_MS = 2_000;
