import assert from "node:assert/strict";
import { createLog } from "../../protocol/core/log.ts";
import { newTlsCounters, TlsCounters, tlsFigures } from "./counters.ts";
import type { TlsJob } from "./messages.ts";
import { TlsService } from "./service.ts";
import { credentialsOf, Descriptors, Talker } from "./testing.ts";
import { decodeVerdict } from "./verdict.ts";

/** A service, and jobs for it whose other ends are held by the test. */
class World implements AsyncDisposable {
  readonly lines: string[] = [];
  /** What each line says of how many were not told before it. */
  readonly before: number[] = [];
  readonly #descriptors = new Descriptors();
  readonly #talkers: Talker[] = [];
  readonly service: TlsService;
  readonly #counted = newTlsCounters();
  #lastId = 0;

  constructor(connectionsMax: number, options: { readonly tellAgainMs?: number } = {}) {
    const log = createLog(({ message, fields }) => {
      this.lines.push(`${message}: ${fields["reason"]}`);
      this.before.push(Number(fields["before"]));
    });
    const counters = new TlsCounters(this.#counted);
    this.service = new TlsService({ log, connectionsMax, counters, ...options });
  }

  get figures() {
    return tlsFigures([this.#counted]);
  }

  job(as: { side: "server" } | { side: "client"; uri: string }) {
    const [socket, peer] = this.#descriptors.pair();
    const [plain, ours] = this.#descriptors.pair();
    const talkers = { peer: new Talker(peer), worker: new Talker(ours) };
    this.#talkers.push(talkers.peer, talkers.worker);
    const job: TlsJob = { id: ++this.#lastId, socket, plain, ...as };
    this.service.take(job);
    return { ...talkers, id: job.id };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#talkers.map((talker) => talker.close()));
    await this.service.stop();
    this.#descriptors[Symbol.dispose]();
  }
}

Deno.test("TlsService refuses jobs until it has credentials, and tells legs why", async () => {
  await using world = new World(4);
  const client = world.job({ side: "client", uri: "urn:dvsan:unit:x" });
  await client.worker.end();
  const verdict = decodeVerdict(client.worker.bytes);
  assert.ok(verdict.kind === "failed" && /no certificate yet/.test(verdict.reason));
  assert.equal(world.lines.length, 0, "a leg tells its own failures");
  const server = world.job({ side: "server" });
  await Promise.all([server.peer.end(), server.worker.end()]);
  assert.equal(server.worker.bytes.length, 0);
  assert.equal(world.lines.length, 1);
  const { failed, connections } = world.figures;
  assert.deepEqual([failed.server.no_credentials, failed.client.no_credentials], [1, 1]);
  assert.equal(connections, 0);
});

Deno.test("TlsService keeps to its limit, and takes more when some have ended", async () => {
  await using world = new World(2);
  world.service.use(credentialsOf("unit"));
  const first = world.job({ side: "server" });
  world.job({ side: "server" });
  const third = world.job({ side: "server" });
  await Promise.all([third.peer.end(), third.worker.end()]);
  assert.equal(world.service.connections, 2);
  world.service.ended(first.id);
  await Promise.all([first.peer.end(), first.worker.end()]);
  await first.worker.close();
  while (world.service.connections > 1) await new Promise((resolve) => setTimeout(resolve, 1));
  world.job({ side: "server" });
  assert.equal(world.service.connections, 2);
  const { server } = world.figures.failed;
  assert.deepEqual([world.figures.connections, server.too_many, server.given_up], [2, 1, 1]);
});

Deno.test("TlsService tells the first of many failures, and counts the others", async () => {
  await using world = new World(8);
  world.service.use(credentialsOf("unit"));
  for (let i = 0; i < 5; i++) {
    const { peer, worker } = world.job({ side: "server" });
    peer.socket.end("no TLS at all");
    await Promise.all([peer.end(), worker.end()]);
  }
  assert.deepEqual(world.before, [0]);
  const { server } = world.figures.failed;
  assert.equal(server.protocol + server.peer_left, 5);
});

Deno.test("TlsService tells of failures again after a while, and how many there were", async () => {
  await using world = new World(8, { tellAgainMs: 0 });
  for (let told = 1; told <= 3; told++) {
    while (world.lines.length < told) {
      world.job({ side: "server" });
      world.job({ side: "server" });
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  const [first, ...later] = world.before;
  assert.equal(first, 0);
  const { no_credentials } = world.figures.failed.server;
  assert.equal(later.reduce((sum, before) => sum + before, 0), no_credentials - 3 - 1);
});

Deno.test("TlsService gives up handshakes when it stops", async () => {
  await using world = new World(8);
  world.service.use(credentialsOf("unit"));
  world.job({ side: "server" });
  await world.service.stop();
  assert.equal(world.figures.failed.server.given_up, 1);
});
