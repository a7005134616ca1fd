import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Socket } from "node:net";
import { authorityCertificate, issueCertificate } from "../../protocol/certificates/certificate.ts";
import { pemOf } from "../../protocol/certificates/pem.ts";
import { privateKeyPem, signingPublicKey } from "../../protocol/certificates/signing_key.ts";
import { createIo } from "../io/create.ts";
import type { Io } from "../io/io.ts";
import type { TlsCredentials } from "./messages.ts";

export const UNIT_ID = "00112233445566778899aabbccddeeff";
export const HOST_ID = "ffeeddccbbaa99887766554433221100";
const CLUSTER_ID = "00112233-4455-6677-8899-aabbccddeeff";

/** What a node of a cluster shows, and trusts. Other authorities make other clusters. */
export function credentialsOf(
  role: "unit" | "host",
  options: { id?: string; authority?: string } = {},
): TlsCredentials {
  const authority = {
    privateKey: named(options.authority ?? "authority"),
    clusterId: CLUSTER_ID,
  };
  const key = named(`${role} key`);
  const id = options.id ?? (role === "unit" ? UNIT_ID : HOST_ID);
  const node = { role, id, name: role, publicKey: signingPublicKey(key) };
  return {
    certificate: pemOf(issueCertificate(authority, node)),
    key: privateKeyPem(key),
    authorities: [pemOf(authorityCertificate(authority))],
    verifyClients: true,
  };
}

/** Socket pairs as descriptors; closes what nobody took. */
export class Descriptors {
  readonly #io: Io = createIo({ kind: "epoll", arena: { classes: [{ bytes: 4096, count: 64 }] } });

  pair(): [number, number] {
    const [a, b] = this.#io.socketPair();
    assert.ok(a > 0 && b > 0);
    return [this.#io.detach(a), this.#io.detach(b)];
  }

  [Symbol.dispose](): void {
    this.#io.destroy();
  }
}

/** An end of a pair as a stream of the runtime, and all it has said so far. */
export class Talker {
  readonly socket: Socket;
  readonly #closed = Promise.withResolvers<void>();
  #chunks: Uint8Array[] = [];
  #changed: (() => void)[] = [];
  /** It said that nothing more comes. */
  ended = false;

  constructor(fd: number) {
    this.socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    this.socket.on("data", (chunk: Uint8Array) => {
      this.#chunks.push(Uint8Array.from(chunk));
      this.#tell();
    });
    this.socket.on("end", () => {
      this.ended = true;
      this.#tell();
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.ended = true;
      this.#tell();
      this.#closed.resolve();
    });
  }

  get bytes(): Uint8Array {
    const length = this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    const all = new Uint8Array(length);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [all];
    return all;
  }

  get text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** Waits until something holds; looked at whenever it said something. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      assert.ok(!this.socket.destroyed, "it closed before that held");
      await new Promise<void>((resolve) => this.#changed.push(resolve));
    }
  }

  /** Waits for the end of what it says. */
  async end(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => this.#changed.push(resolve));
  }

  /** Closes it, and waits until it is. */
  async close(): Promise<void> {
    this.socket.destroy();
    await this.#closed.promise;
  }

  #tell(): void {
    for (const run of this.#changed.splice(0)) run();
  }
}

/** 32 bytes that are named, not random. */
function named(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(name).digest());
}
