import assert from "node:assert/strict";
import { authorityCertificate, issueCertificate } from "../../protocol/certificates/certificate.ts";
import { SeededRandom } from "../../protocol/config/test_world.ts";
import { fromUtf8, utf8 } from "../../protocol/core/bytes.ts";
import type { Clock } from "../../protocol/core/clock.ts";
import { DvsanError } from "../../protocol/core/errors.ts";
import { silentLog } from "../../protocol/core/log.ts";
import type { TlsCredentials } from "../../storage/tls/messages.ts";
import { NodeCertificate, type NodeCertificateOptions } from "./tls_certificate.ts";

const ID = "00112233445566778899aabbccddeeff";
const CLUSTER = "00112233-4455-6677-8899-aabbccddeeff";

/** A node with its files, and the station's answers to it. */
class World {
  readonly files = new Map<string, Uint8Array>();
  readonly used: TlsCredentials[] = [];
  readonly timers: (() => void)[] = [];
  authority = { privateKey: new Uint8Array(32).fill(1), clusterId: CLUSTER };
  /** Whom the station certifies. */
  certified = ID;
  failure: DvsanError | null = null;
  asked = 0;
  #answered = Promise.withResolvers<void>();

  start(change: Partial<NodeCertificateOptions> = {}): NodeCertificate {
    const after = (_delayMs: number, run: () => void) => {
      this.timers.push(run);
      this.#answer();
      return { cancel: () => {} };
    };
    return new NodeCertificate({
      files: {
        read: (name) => this.files.get(name) ?? null,
        write: (name, bytes) => void this.files.set(name, bytes),
      },
      random: new SeededRandom(3),
      clock: { nowMs: () => 0, wallMs: () => 0, after } as Clock,
      log: silentLog(),
      role: "unit",
      id: ID,
      clusterId: CLUSTER,
      use: (credentials) => {
        this.used.push(credentials);
        this.#answer();
      },
      ...change,
    });
  }

  /** Resolves when what was asked led to something: credentials, or a pause. */
  async ask(certificate: NodeCertificate): Promise<void> {
    this.#answered = Promise.withResolvers<void>();
    certificate.ask({
      connected: () => Promise.resolve(),
      request: (_name: string, body: unknown) => {
        this.asked++;
        if (this.failure !== null) return Promise.reject(this.failure);
        const { publicKey } = body as { publicKey: Uint8Array };
        const node = { role: "unit", id: this.certified, name: "u1", publicKey } as const;
        return Promise.resolve({
          certificate: issueCertificate(this.authority, node),
          authority: authorityCertificate(this.authority),
        }) as never;
      },
    });
    await this.#answered.promise;
  }

  #answer(): void {
    this.#answered.resolve();
  }
}

Deno.test("a node's certificate is asked for once, kept, and used at the next start", async () => {
  const world = new World();
  const first = world.start();
  assert.equal(world.used.length, 0, "there is none yet");
  await world.ask(first);
  const [credentials] = world.used;
  assert.match(credentials!.certificate!, /BEGIN CERTIFICATE/);
  assert.match(credentials!.key!, /BEGIN PRIVATE KEY/);
  assert.ok(credentials!.verifyClients);
  world.start();
  assert.deepEqual(world.used[1], credentials, "without asking anybody");
});

Deno.test("another authority gives the same key another certificate", async () => {
  const world = new World();
  await world.ask(world.start());
  world.authority = { ...world.authority, privateKey: new Uint8Array(32).fill(2) };
  const again = world.start();
  assert.equal(world.used.length, 2);
  const before = fromUtf8(world.files.get("tls.json")!);
  await world.ask(again);
  assert.equal(world.used.length, 3);
  assert.equal(world.used[2]!.key, world.used[0]!.key);
  assert.notEqual(world.used[2]!.certificate, world.used[0]!.certificate);
  assert.notEqual(fromUtf8(world.files.get("tls.json")!), before);
});

Deno.test("a certificate of another cluster, and a damaged one, are as none", async () => {
  const world = new World();
  await world.ask(world.start());
  world.start({ clusterId: "ffffffff-4455-6677-8899-aabbccddeeff" });
  assert.equal(world.used.length, 1);
  world.files.set("tls.json", utf8("{"));
  await world.ask(world.start());
  assert.equal(world.used.length, 2);
});

Deno.test("a station that refuses, or certifies somebody else, is asked again later", async () => {
  const world = new World();
  const certificate = world.start();
  world.failure = new DvsanError("denied", "not yet");
  await world.ask(certificate);
  world.failure = null;
  world.certified = "ff".repeat(16);
  await world.ask(certificate);
  assert.equal(world.timers.length, 2);
  assert.equal(world.used.length, 0);
  assert.ok(!world.files.has("tls.json"));
  certificate.stop();
});

Deno.test("a certificate that cannot be kept is used all the same, and kept when there is room", async () => {
  const world = new World();
  let isFull = true;
  const files = {
    read: (name: string) => world.files.get(name) ?? null,
    write: (name: string, bytes: Uint8Array) => {
      if (isFull) throw new DvsanError("io", "the file system is full");
      world.files.set(name, bytes);
    },
  };
  await world.ask(world.start({ files }));
  assert.equal(world.used.length, 1);
  assert.equal(world.files.size, 0);
  world.timers.splice(0).forEach((run) => run());
  isFull = false;
  world.timers.splice(0).forEach((run) => run());
  assert.deepEqual([world.asked, world.used.length, world.timers.length], [1, 1, 0]);
  world.start();
  assert.deepEqual(world.used[1], world.used[0], "the next start needs no station");
});
