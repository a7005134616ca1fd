import type { LogFields, LogLevel } from "../../protocol/core/log.ts";

/** What the data worker, the control thread and the TLS worker say to each other. */

/** What this process shows its peers, and whom it trusts. The key is a secret: never log it. */
export interface TlsCredentials {
  /** PEM: our certificate, then those between it and its authority; null: we show none. */
  readonly certificate: string | null;
  /** PEM, PKCS #8. */
  readonly key: string | null;
  /** PEM, one certificate each: a peer's certificate is signed by one of them directly. */
  readonly authorities: readonly string[];
  /** As a server: only clients with a certificate are let in. */
  readonly verifyClients: boolean;
}

/**
 * A connection to secure. Both descriptors are the TLS worker's from now on: the socket to the
 * peer, which nothing but TLS comes from, and one end of a socket pair for what it says in plain.
 */
export type TlsJob =
  & {
    /** Never used again by this process. */
    readonly id: number;
    readonly socket: number;
    readonly plain: number;
  }
  & (
    | { readonly side: "server" }
    /** `uri`: who the server's certificate must name. A verdict precedes what the server says. */
    | { readonly side: "client"; readonly uri: string }
  );

/** What the data worker has to say, by way of the control thread. */
export type TlsOrder =
  | { readonly job: TlsJob }
  /** It has closed its end of this job's socket pair. */
  | { readonly ended: number };

export type ToTlsWorker =
  /** Where it counts. The first message. */
  | { readonly counters: SharedArrayBuffer }
  | { readonly credentials: TlsCredentials }
  | TlsOrder
  | { readonly stop: true };

export type FromTlsWorker =
  | {
    readonly log: {
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: LogFields;
    };
  }
  /** The last message. */
  | { readonly stopped: true };
