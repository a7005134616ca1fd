import { Buffer } from "node:buffer";
import { z } from "zod";
import { nodeUri } from "../../protocol/certificates/node_uri.ts";
import { peerProblem } from "../../protocol/certificates/peer.ts";
import { pemOf } from "../../protocol/certificates/pem.ts";
import {
  privateKeyPem,
  SIGNING_KEY_BYTES,
  signingPublicKey,
} from "../../protocol/certificates/signing_key.ts";
import { fromHex, fromUtf8, hexOf, utf8 } from "../../protocol/core/bytes.ts";
import { defined } from "../../protocol/core/assert.ts";
import type { Clock, Timer } from "../../protocol/core/clock.ts";
import { DvsanError, messageOf } from "../../protocol/core/errors.ts";
import { TLS_CERTIFICATE_RETRY_MS } from "../../protocol/core/limits.ts";
import type { AgentLink } from "../../protocol/config/link.ts";
import type { Log } from "../../protocol/core/log.ts";
import type { Random } from "../../protocol/core/random.ts";
import type { TlsCredentials } from "../../storage/tls/messages.ts";
import type { StateFiles } from "./identity.ts";

const FILE = "tls.json";

const Stored = z.strictObject({
  privateKey: z.string().regex(/^[0-9a-f]{64}$/),
  /** Of the cluster that the certificates are of. */
  clusterId: z.string(),
  certificate: z.base64(),
  authority: z.base64(),
});
type Stored = z.infer<typeof Stored>;

export interface NodeCertificateOptions {
  readonly files: StateFiles;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Log;
  readonly role: "unit" | "host";
  readonly id: string;
  readonly clusterId: string;
  /** Called for what is kept, in the constructor, and for whatever is new. */
  readonly use: (credentials: TlsCredentials) => void;
}

/**
 * A node's certificate of its cluster: the node makes the key, the station signs it over the
 * session, and both are kept, so that a restart needs no station. It is asked for again at every
 * start, in case that the authority is another.
 */
export class NodeCertificate {
  readonly #o: NodeCertificateOptions;
  #stored: Stored | null;
  #timer: Timer | null = null;
  #stopped = false;
  /** What is used is in the state directory. */
  #isKept = true;

  constructor(options: NodeCertificateOptions) {
    this.#o = options;
    this.#stored = this.#read();
    if (this.#stored !== null) options.use(credentialsOf(this.#stored));
  }

  /** Asks the station, until it has answered. */
  ask(link: Pick<AgentLink, "connected" | "request">): void {
    void this.#ask(link).catch((error) => {
      if (!(error instanceof DvsanError)) throw error;
      if (this.#stopped) return;
      this.#o.log.info("no TLS certificate of the station yet", { reason: messageOf(error) });
      this.#timer = this.#o.clock.after(TLS_CERTIFICATE_RETRY_MS, () => this.ask(link));
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  async #ask(link: Pick<AgentLink, "connected" | "request">): Promise<void> {
    const { random, role, id, clusterId, log } = this.#o;
    await link.connected();
    const privateKey = this.#stored === null
      ? random.bytes(SIGNING_KEY_BYTES)
      : keyOf(this.#stored);
    const publicKey = signingPublicKey(privateKey);
    const { certificate, authority } = await link.request("CERTIFICATE_REQUEST", { publicKey });
    const problem = peerProblem(certificate, { authorities: [authority], uri: nodeUri(role, id) });
    if (problem !== null) {
      throw new DvsanError(
        "invalid",
        `The station's certificate for this node is none: ${problem}`,
      );
    }
    const stored = {
      privateKey: hexOf(privateKey),
      clusterId,
      certificate: Buffer.from(certificate).toString("base64"),
      authority: Buffer.from(authority).toString("base64"),
    };
    if (JSON.stringify(stored) !== JSON.stringify(this.#stored)) {
      this.#stored = stored;
      this.#isKept = false;
      log.info("got a TLS certificate from the station");
      this.#o.use(credentialsOf(stored));
    }
    if (!this.#isKept) this.#keep(stored);
  }

  /** It is used all the same; the next start without it would need the station. */
  #keep(stored: Stored, isFirst = true): void {
    const { files, log, clock } = this.#o;
    try {
      files.write(FILE, utf8(`${JSON.stringify(stored, null, 2)}\n`));
      this.#isKept = true;
    } catch (error) {
      if (!(error instanceof DvsanError)) throw error;
      if (isFirst) {
        log.error(
          "cannot keep the TLS certificate: until it is kept, a restart of this node waits for " +
            "the station. Make room in the state directory",
          { problem: error.message },
        );
      }
      if (this.#stopped) return;
      this.#timer = clock.after(TLS_CERTIFICATE_RETRY_MS, () => this.#keep(stored, false));
    }
  }

  /** One of another cluster, or damaged, is as none: the station makes another. */
  #read(): Stored | null {
    const { files, clusterId, log } = this.#o;
    const bytes = files.read(FILE);
    if (bytes === null) return null;
    try {
      const stored = Stored.parse(JSON.parse(fromUtf8(bytes) ?? ""));
      if (stored.clusterId === clusterId) return stored;
      log.info("the TLS certificate is of another cluster, and not used");
    } catch {
      log.warn("the TLS certificate cannot be read; another will be asked for", { file: FILE });
    }
    return null;
  }
}

function credentialsOf(stored: Stored): TlsCredentials {
  const pem = (base64: string) => pemOf(new Uint8Array(Buffer.from(base64, "base64")));
  return {
    certificate: pem(stored.certificate),
    key: privateKeyPem(keyOf(stored)),
    authorities: [pem(stored.authority)],
    verifyClients: true,
  };
}

function keyOf(stored: Stored): Uint8Array {
  return defined(fromHex(stored.privateKey), "the schema checked it");
}
